"""The square face crop that classifiers see.

A classifier's numbers depend on how its faces were cut, so the settings travel inside the checkpoint.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from core.model_version import CropSettings
from models.face import LEVELLED_FROM, Box, Face, Image, Landmarks


def crop_standing(image: Image, face: Face, crop: CropSettings, size: int) -> Image:
    """The crop of a face that may be sideways, upside down or tilted, turned upright."""
    if abs(face.roll) < LEVELLED_FROM:
        return np.ascontiguousarray(np.rot90(crop_face(image, face.box, crop, size), -face.turn // 90))
    side = _side(face.box, crop)
    patch = cv2.warpAffine(
        image, _levelling(face, side), (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    method = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    return np.ascontiguousarray(cv2.resize(patch, (size, size), interpolation=method), dtype=np.uint8)


def standing_landmarks(face: Face, crop: CropSettings, size: int) -> Landmarks:
    """Where the face's landmarks are in the crop that `crop_standing` cuts: float32 (5, 2) pixels of it."""
    side = _side(face.box, crop)
    levelled = abs(face.roll) >= LEVELLED_FROM
    if levelled:
        matrix = _levelling(face, side)
        points = face.landmarks @ matrix[:, :2].T + matrix[:, 2]
    else:
        points = face.landmarks - np.array(_corner(face.box, side))
    points = (points + 0.5) * (size / side) - 0.5  # a pixel's middle stays its middle when it is resized
    for _ in range(0 if levelled else face.turn // 90):
        points = np.stack([size - 1 - points[:, 1], points[:, 0]], axis=1)
    return points.astype(np.float32)


def _levelling(face: Face, side: int) -> NDArray[np.float64]:
    """The (2, 3) matrix that turns the face upright in the middle of a square."""
    x, y = face.box.centre
    matrix = cv2.getRotationMatrix2D((x, y), face.tilt, 1.0)
    matrix[:, 2] += np.array([side / 2 - x, side / 2 - y])
    return np.asarray(matrix, np.float64)


def _side(box: Box, crop: CropSettings) -> int:
    """Pixels of the square that is cut."""
    return max(1, round(crop.margin * max(box.width, box.height)))


def _corner(box: Box, side: int) -> tuple[int, int]:
    x, y = box.centre
    return round(x - side / 2), round(y - side / 2)


def crop_face(image: Image, box: Box, crop: CropSettings, size: int) -> Image:
    """Cut the square around `box` and scale it to `size`.

    The square is centred on the box, its side is `crop.margin` times the box's longer side; beyond the
    frame's edge, the edge pixels are repeated.

    Returns uint8 (size, size, 3), C-contiguous.
    """
    side = _side(box, crop)
    left, top = _corner(box, side)
    height, width = image.shape[:2]
    x0, x1 = (min(max(x, 0), width) for x in (left, left + side))
    y0, y1 = (min(max(y, 0), height) for y in (top, top + side))
    if x0 >= x1 or y0 >= y1:  # entirely outside: nothing to see, but keep the shape
        return np.zeros((size, size, 3), np.uint8)
    patch = image[y0:y1, x0:x1]
    if patch.shape[:2] != (side, side):
        borders = (y0 - top, top + side - y1, x0 - left, left + side - x1)
        patch = np.asarray(cv2.copyMakeBorder(patch, *borders, cv2.BORDER_REPLICATE), np.uint8)
    # INTER_AREA averages what it shrinks; it would leave blocks when it enlarges.
    method = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    return np.ascontiguousarray(cv2.resize(patch, (size, size), interpolation=method), dtype=np.uint8)
