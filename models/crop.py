"""The square face crop that classifiers see.

A classifier's numbers depend on how its faces were cut, so the settings travel inside the checkpoint.
"""

import cv2
import numpy as np

from core.model_version import CropSettings
from models.face import LEVELLED_FROM, Box, Face, Image


def crop_standing(image: Image, face: Face, crop: CropSettings, size: int) -> Image:
    """The crop of a face that may be sideways, upside down or tilted, turned upright."""
    if abs(face.roll) < LEVELLED_FROM:
        return np.ascontiguousarray(np.rot90(crop_face(image, face.box, crop, size), -face.turn // 90))
    side = max(1, round(crop.margin * max(face.box.width, face.box.height)))
    centre_x, centre_y = face.box.centre
    levelling = cv2.getRotationMatrix2D((centre_x, centre_y), face.tilt, 1.0)
    levelling[:, 2] += np.array([side / 2 - centre_x, side / 2 - centre_y])
    patch = cv2.warpAffine(
        image, levelling, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    method = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    return np.ascontiguousarray(cv2.resize(patch, (size, size), interpolation=method), dtype=np.uint8)


def crop_face(image: Image, box: Box, crop: CropSettings, size: int) -> Image:
    """Cut the square around `box` and scale it to `size`.

    The square is centred on the box, its side is `crop.margin` times the box's longer side; beyond the
    frame's edge, the edge pixels are repeated.

    Returns uint8 (size, size, 3), C-contiguous.
    """
    side = max(1, round(crop.margin * max(box.width, box.height)))
    centre_x, centre_y = box.centre
    left, top = round(centre_x - side / 2), round(centre_y - side / 2)
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
