"""Hidden parts of a crop."""

from typing import get_args

import numpy as np
import pytest
from skimage.data import astronaut

from models.explain.hiding import Hidden, Hiding
from models.face import Image

CROP: Image = np.ascontiguousarray(astronaut()[0:192, 130:322][::2, ::2])
HALVES = np.repeat(np.array([[0, 1]], np.int32), 48, axis=1) * np.ones((96, 1), np.int32)


@pytest.mark.parametrize("how", get_args(Hidden))
def test_what_is_kept_is_the_crop_itself(how: Hidden) -> None:
    shown = Hiding(CROP, HALVES, how).shown(np.array([[1, 1], [1, 0], [0, 0]]))
    assert shown.dtype == np.uint8
    assert (shown[0] == CROP).all()
    assert (shown[1, :, :40] == CROP[:, :40]).all()
    assert (shown[1, :, 56:] == shown[2, :, 56:]).all()
    assert np.abs(shown[2].astype(int) - CROP).mean() > 5


@pytest.mark.parametrize("how", ["blur", "inpaint"])
def test_a_hidden_part_has_no_hard_edge(how: Hidden) -> None:
    flat = np.full((96, 96, 3), 40, np.uint8)
    flat[:, 48:] = 200  # the segments' border is the picture's only edge
    hidden = Hiding(CROP, HALVES, how).shown(np.array([[1, 0]]))[0].astype(int)
    hard = np.where(HALVES[..., None] == 0, CROP, Hiding(CROP, HALVES, how).shown(np.array([[0, 0]]))[0])
    across = np.abs(np.diff(hidden, axis=1))[:, 47].mean()
    assert across < np.abs(np.diff(hard.astype(int), axis=1))[:, 47].mean()
