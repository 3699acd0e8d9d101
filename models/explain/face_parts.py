"""The parts of a face, laid over a crop by its five landmarks.

A drawing of the mean face is bent so that its landmarks fall on the face's own, by a thin-plate spline
(Bookstein, 1989): no part can be lost to a face mesh that fails on just the faces that are forged badly.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator
from skimage.draw import polygon2mask

from models.face import Landmarks
from models.mean_face import MEAN_LANDMARKS

Outline = list[tuple[float, float]]

# In the mean face's units: the eyes are 1 apart, (0, 0) is between them, y points down, "left" is the
# picture's left. A later part lies on top of an earlier one.
_CHEEK: Outline = [(-0.95, 0.0), (0.0, 0.0), (0.0, 1.2), (-0.55, 1.32), (-0.78, 1.0)]
_JAW: Outline = [
    (-0.9, 0.0), (-1.12, -0.22), (-1.18, 0.5), (-1.04, 1.05), (-0.72, 1.6), (-0.34, 1.92), (0.0, 1.92),
    (0.0, 1.3), (-0.5, 1.2), (-0.75, 0.8),
]  # fmt: skip
_BROW: Outline = [(-1.0, -0.22), (-0.95, -0.42), (-0.6, -0.56), (-0.1, -0.46), (-0.06, -0.2)]
_EYE: Outline = [(-0.95, -0.22), (-0.06, -0.22), (-0.12, 0.12), (-0.35, 0.27), (-0.7, 0.26), (-0.95, 0.12)]


def _mirrored(outline: Outline) -> Outline:
    return [(-x, y) for x, y in reversed(outline)]


BACKGROUND = "background"  # whatever no other part covers
TEMPLATE: dict[str, Outline] = {
    "neck": [(-0.85, 1.3), (0.85, 1.3), (1.1, 4.0), (-1.1, 4.0)],
    "hair": [
        (-1.45, 1.1), (-1.55, -0.5), (-1.2, -1.5), (-0.5, -1.95), (0.5, -1.95), (1.2, -1.5), (1.55, -0.5),
        (1.45, 1.1),
    ],
    "forehead": [
        (-1.1, -0.2), (-1.06, -0.6), (-0.82, -1.02), (-0.35, -1.2), (0.35, -1.2), (0.82, -1.02), (1.06, -0.6),
        (1.1, -0.2),
    ],
    "left cheek": _CHEEK,
    "right cheek": _mirrored(_CHEEK),
    "left jaw": _JAW,
    "right jaw": _mirrored(_JAW),
    "chin": [(-0.42, 1.4), (0.42, 1.4), (0.42, 1.88), (0.2, 1.96), (-0.2, 1.96), (-0.42, 1.88)],
    "nose": [
        (-0.12, -0.22), (0.12, -0.22), (0.16, 0.2), (0.36, 0.62), (0.3, 0.82), (-0.3, 0.82), (-0.36, 0.62),
        (-0.16, 0.2),
    ],
    "mouth": [
        (-0.62, 1.02), (-0.3, 0.82), (0.3, 0.82), (0.62, 1.02), (0.6, 1.28), (0.32, 1.46), (-0.32, 1.46),
        (-0.6, 1.28),
    ],
    "left brow": _BROW,
    "right brow": _mirrored(_BROW),
    "left eye": _EYE,
    "right eye": _mirrored(_EYE),
}  # fmt: skip
PARTS = (BACKGROUND, *TEMPLATE)

REACH = 4.0  # units around (0, 0) that the drawing covers: beyond it there is only background
FINENESS = 64  # pixels of the drawing for a unit
LEAST_SPREAD = 0.1  # of landmarks, across over along: 0.7 for a face from the front
LEAST_PIXELS = 16  # of the crop: a part with fewer is hardly in the picture and counts to the background


def face_parts(size: int, landmarks: Landmarks) -> tuple[NDArray[np.int32], Sequence[str]] | None:
    """The part of each pixel, int32 (size, size), numbered from 0 without gaps, and the parts' names.

    None where landmarks lie on one line or on one spot: those of no face do.

    Args:
        size: pixels of the square crop.
        landmarks: float32 (5, 2), in pixels of the crop.
    """
    if not _spread_out(landmarks):
        return None
    try:
        towards_template = RBFInterpolator(landmarks, MEAN_LANDMARKS, kernel="thin_plate_spline")
    except np.linalg.LinAlgError:  # two of them on one spot
        return None
    rows, columns = np.indices((size, size))
    points = towards_template(np.stack([columns.ravel(), rows.ravel()], axis=1))
    drawing = _drawing()
    places = np.clip(np.rint((points + REACH) * FINENESS), 0, len(drawing) - 1).astype(np.int64)
    found = drawing[places[:, 1], places[:, 0]]
    counts = np.bincount(found, minlength=len(PARTS))
    found[counts[found] < LEAST_PIXELS] = PARTS.index(BACKGROUND)
    present, numbered = np.unique(found, return_inverse=True)
    return numbered.reshape(size, size).astype(np.int32), [PARTS[number] for number in present]


def _spread_out(landmarks: Landmarks) -> bool:
    """Whether the landmarks span a plane, so that a drawing can be bent to them."""
    if not np.isfinite(landmarks).all():
        return False
    longer, shorter = np.linalg.svd(landmarks - landmarks.mean(axis=0), compute_uv=False)
    return bool(shorter >= LEAST_SPREAD * longer > 0)


@cache
def _drawing() -> NDArray[np.uint8]:
    """The mean face: the number of the part at each place."""
    side = round(2 * REACH * FINENESS) + 1
    drawing = np.zeros((side, side), np.uint8)
    for number, outline in enumerate(TEMPLATE.values(), 1):
        rows_and_columns = (np.array(outline)[:, ::-1] + REACH) * FINENESS
        drawing[polygon2mask(drawing.shape, rows_and_columns)] = number
    return drawing
