"""Deletion and insertion tell a map that points at the reason from one that does not."""

import numpy as np
from numpy.typing import NDArray
from skimage.data import astronaut

from evaluation.explanations.curves import Curver
from models.face import Image

CROP: Image = np.ascontiguousarray(astronaut()[0:192, 130:322][::2, ::2])
REASON = (slice(20, 44), slice(30, 60))


def answers(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """10 where the reason is as it was, less where it is not."""
    apart = np.abs(crops[:, *REASON].astype(np.float32) - CROP[REASON]).mean(axis=(1, 2, 3))
    return (10 - apart).astype(np.float32)


def test_a_map_of_the_reason_is_deleted_and_inserted_sooner() -> None:
    curver = Curver(CROP, answers)
    right = np.zeros(CROP.shape[:2], np.float32)
    right[REASON] = 1.0
    good, bad, flat = (curver.curves(heat) for heat in (right, -right, np.zeros_like(right)))
    assert good.deletion < flat.deletion < bad.deletion <= 0
    assert good.insertion > flat.insertion > bad.insertion >= 0


def test_a_classifier_that_does_not_care_has_level_curves() -> None:
    level = Curver(CROP, lambda crops: np.full(len(crops), 3.0, np.float32))
    curves = level.curves(np.random.default_rng(0).random(CROP.shape[:2]).astype(np.float32))
    assert abs(curves.deletion) < 1e-9
    assert abs(curves.insertion) < 1e-9
