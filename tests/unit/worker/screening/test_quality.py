"""The quality gate."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from core.settings import QualitySettings
from models.face import Box, Face, Image
from worker.screening.quality import Rejection, assess, sharpness, yaw

FRONT = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], np.float32)
CROP: Image = np.ascontiguousarray(astronaut()[0:224, 110:334])


def face(*, side: float = 100.0, probability: float = 0.999, landmarks: np.ndarray = FRONT) -> Face:
    return Face(box=Box(x0=0, y0=0, x1=side, y1=side), landmarks=landmarks, probability=probability)


def rejection(one: Face, crop: Image = CROP) -> Rejection | None:
    return assess(one, crop, QualitySettings()).rejection


def tilted(landmarks: np.ndarray, degrees: float) -> np.ndarray:
    """The landmarks turned clockwise around their middle."""
    angle = np.radians(degrees)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
    middle = landmarks.mean(axis=0)
    return np.asarray((landmarks - middle) @ rotation.T + middle, np.float32)


def test_a_sharp_frontal_face_passes() -> None:
    assert rejection(face()) is None


def test_each_fault_has_its_own_reason() -> None:
    turned = FRONT.copy()
    turned[2, 0] = 72
    blurred = np.asarray(cv2.GaussianBlur(CROP, (0, 0), 12), np.uint8)
    assert rejection(face(side=20)) is Rejection.SMALL
    assert rejection(face(probability=0.91)) is Rejection.UNSURE
    assert rejection(face(landmarks=turned)) is Rejection.TURNED
    assert rejection(face(landmarks=tilted(FRONT, 35))) is Rejection.TILTED
    assert rejection(face(), blurred) is Rejection.BLURRED


def test_what_is_hardly_a_face_is_called_so_whatever_else_it_lacks() -> None:
    assert rejection(face(side=20, probability=0.91)) is Rejection.UNSURE


def test_yaw_does_not_mind_a_tilted_head() -> None:
    angle = np.radians(40)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
    assert yaw(FRONT @ rotation.T) == pytest.approx(yaw(FRONT), abs=1e-5)
    assert yaw(np.zeros((5, 2), np.float32)) == 1.0


@pytest.mark.parametrize("degrees", [-90, -29, 0, 10, 29, 60, 180])
def test_roll_is_the_tilt_of_the_head_whichever_way_up_the_frame_is(degrees: float) -> None:
    one = face(landmarks=tilted(FRONT, degrees))
    assert abs(one.roll) == pytest.approx(abs(degrees), abs=1e-3)
    assert (rejection(one) is None) == (abs(degrees) <= 30)
    lying = replace(face(landmarks=tilted(FRONT, degrees - 90)), turn=90)
    assert abs(lying.roll) == pytest.approx(abs(degrees), abs=1e-3)


def test_blur_lowers_sharpness_at_any_size() -> None:
    for size in (64, 112, 224):
        crop = np.asarray(cv2.resize(CROP, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
        assert sharpness(np.asarray(cv2.GaussianBlur(crop, (0, 0), 3), np.uint8)) < sharpness(crop)
