import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model_version import CropSettings
from models.crop import crop_face, crop_standing, standing_landmarks
from models.face import Box, Face, Image


def gradient(height: int = 100, width: int = 200) -> Image:
    """Red is x, green is y: a crop tells where it came from."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, np.zeros_like(x)], axis=2).astype(np.uint8)


def test_square_of_the_longer_side_times_margin() -> None:
    crop = crop_face(gradient(), Box(x0=80, y0=30, x1=100, y1=70), CropSettings(margin=1.5), 60)
    # centre (90, 50), side 60: x 60..119, y 20..79, no scaling
    assert crop.shape == (60, 60, 3)
    assert crop[0, 0].tolist() == [60, 20, 0]
    assert crop[-1, -1].tolist() == [119, 79, 0]


def test_edges_are_repeated_over_the_frame_border() -> None:
    crop = crop_face(gradient(), Box(x0=-10, y0=-10, x1=10, y1=10), CropSettings(margin=2.0), 40)
    assert (crop[:20, :20] == 0).all()  # above and left: the corner pixel
    assert crop[0, -1].tolist() == [19, 0, 0]
    assert crop[-1, -1].tolist() == [19, 19, 0]


def test_shrinking_averages() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    crop = crop_face(noise, Box(x0=0, y0=0, x1=400, y1=400), CropSettings(margin=1.0), 20)
    expected = noise.reshape(20, 20, 20, 20, 3).mean(axis=(1, 3))
    assert np.abs(crop - expected).max() <= 1


def test_enlarging_interpolates() -> None:
    crop = crop_face(gradient(), Box(x0=50, y0=50, x1=60, y1=60), CropSettings(margin=1.0), 100)
    assert len(np.unique(crop[:, :, 0])) == 10
    assert np.abs(np.diff(crop[50, :, 0].astype(int))).max() <= 1
    assert np.array_equal(crop, cv2.resize(gradient()[50:60, 50:60], (100, 100)))


@given(
    x=st.floats(-500, 700),
    y=st.floats(-500, 600),
    width=st.floats(0.01, 400),
    height=st.floats(0.01, 400),
    margin=st.floats(0.1, 3),
)
def test_any_box_gives_the_asked_size(x: float, y: float, width: float, height: float, margin: float) -> None:
    box = Box(x0=x, y0=y, x1=x + width, y1=y + height)
    crop = crop_face(gradient(), box, CropSettings(margin=margin), 32)
    assert crop.shape == (32, 32, 3)
    assert crop.dtype == np.uint8
    assert crop.flags.c_contiguous


FRONT = np.array(
    [[-20, -10], [20, -10], [0, 10], [-15, 30], [15, 30]], np.float32
)  # around the middle of a face


def standing(image: Image, x: float, y: float, *, degrees: float = 0.0, turn: int = 0) -> Face:
    """A face around (x, y), tilted clockwise in the picture."""
    angle = np.radians(degrees)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
    marks = FRONT @ rotation.T + np.array([x, y], np.float32)
    return Face(
        box=Box(x0=x - 50, y0=y - 50, x1=x + 50, y1=y + 50), landmarks=marks, probability=1.0, turn=turn
    )


def soft(height: int = 300, width: int = 400) -> Image:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    blurred = cv2.GaussianBlur(noise.astype(np.float32), (0, 0), 8)
    return np.clip((blurred - blurred.mean()) * 20 + 128, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_lying_face_gives_the_crop_of_the_upright_one(turn: int) -> None:
    upright = soft()
    wanted = crop_standing(upright, standing(upright, 200, 150), CropSettings(margin=1.3), 64)
    lying = np.ascontiguousarray(np.rot90(upright, turn // 90))
    x, y = {90: (150, 200), 180: (200, 150), 270: (150, 200)}[turn]
    face = standing(lying, x, y, degrees=-turn, turn=turn)
    assert np.array_equal(crop_standing(lying, face, CropSettings(margin=1.3), 64), wanted)


@pytest.mark.parametrize("degrees", [-28.0, 15.0])
def test_a_tilted_face_is_levelled(degrees: float) -> None:
    upright = soft()
    wanted = crop_standing(upright, standing(upright, 200, 150), CropSettings(margin=1.3), 64).astype(int)
    tilting = cv2.getRotationMatrix2D((200, 150), -degrees, 1.0)
    tilted = np.asarray(cv2.warpAffine(upright, tilting, (400, 300)), np.uint8)
    made = crop_standing(tilted, standing(tilted, 200, 150, degrees=degrees), CropSettings(margin=1.3), 64)
    plain = crop_face(tilted, standing(tilted, 200, 150).box, CropSettings(margin=1.3), 64)
    assert np.abs(made - wanted).mean() < 0.2 * np.abs(plain - wanted).mean()


@pytest.mark.parametrize(("degrees", "turn"), [(0, 0), (4, 0), (25, 0), (-90, 90), (178, 180), (70, 270)])
def test_the_landmarks_of_a_crop_are_where_its_face_is(degrees: float, turn: int) -> None:
    """A bright dot at each landmark of the frame is at the same landmark of the crop."""
    crop, size = CropSettings(margin=1.4), 96
    face = standing(np.zeros((300, 400, 3), np.uint8), 210, 140, degrees=degrees, turn=turn)
    marks = standing_landmarks(face, crop, size)
    assert marks.dtype == np.float32
    for mark, (x, y) in zip(marks, face.landmarks, strict=True):
        frame = np.zeros((300, 400, 3), np.uint8)
        cv2.circle(frame, (round(float(x)), round(float(y))), 4, (255, 255, 255), -1)
        bright = crop_standing(frame, face, crop, size)[..., 0].astype(float)
        rows, columns = np.indices(bright.shape)
        seen = np.array([(columns * bright).sum(), (rows * bright).sum()]) / bright.sum()
        np.testing.assert_allclose(mark, seen, atol=0.7)
