"""The quality gate: which faces are good enough to be judged.

A blurred, tiny, tilted or turned face is stored with the reason, but does not count for the score: detectors
that judge such faces flag bad cameras instead of forgeries.
"""

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np

from core.settings import QualitySettings
from models.face import Face, Image, Landmarks

SHARPNESS_SIZE = 112  # pixels: sharpness is comparable only at one size


class Rejection(StrEnum):
    """In this order: of several faults, the first is the reason."""

    UNSURE = "unsure"  # the detector is not sure that it is a face
    SMALL = "small"
    TURNED = "turned"  # towards a profile
    TILTED = "tilted"  # towards a shoulder
    BLURRED = "blurred"


@dataclass(frozen=True, kw_only=True)
class Quality:
    sharpness: float  # variance of the Laplacian, gray values 0..255, at 112 px
    yaw: float  # 0 seen from the front, 1 in profile
    roll: float  # degrees clockwise by which the head is tilted, once the face is turned upright
    rejection: Rejection | None  # None: usable


def assess(face: Face, crop: Image, settings: QualitySettings) -> Quality:
    """Judge a face by its box and landmarks and by its crop, uint8 (S, S, 3)."""
    sharp, turned, tilted = sharpness(crop), yaw(face.landmarks), face.roll
    rejection = None
    if face.probability < settings.min_probability:
        rejection = Rejection.UNSURE
    elif min(face.box.width, face.box.height) < settings.min_pixels:
        rejection = Rejection.SMALL
    elif turned > settings.max_yaw:
        rejection = Rejection.TURNED
    elif abs(tilted) > settings.max_roll:
        rejection = Rejection.TILTED
    elif sharp < settings.min_sharpness:
        rejection = Rejection.BLURRED
    return Quality(sharpness=sharp, yaw=turned, roll=tilted, rejection=rejection)


def sharpness(crop: Image) -> float:
    """Variance of the Laplacian (Pech-Pacheco et al., 2000) of the gray crop at 112 px."""
    gray = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    if gray.shape != (SHARPNESS_SIZE, SHARPNESS_SIZE):
        gray = cv2.resize(gray, (SHARPNESS_SIZE, SHARPNESS_SIZE), interpolation=cv2.INTER_AREA)
    _, deviation = cv2.meanStdDev(cv2.Laplacian(gray, cv2.CV_64F))
    return float(deviation.item()) ** 2


def yaw(landmarks: Landmarks) -> float:
    """How far the head is turned, by the nose's position between the eyes: 0 in the middle, 1 at an eye.

    Measured along the line between the eyes, so that a tilted head is not taken for a turned one.
    """
    left, right, nose = landmarks[0], landmarks[1], landmarks[2]
    line = right - left
    length = float(np.hypot(*line))
    if length < 1e-6:
        return 1.0
    along = float(np.dot(nose - left, line)) / length**2
    return min(1.0, abs(2 * along - 1))
