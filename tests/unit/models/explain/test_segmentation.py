"""Segmentations that LIME can number its columns by."""

import numpy as np
import pytest
from skimage.data import astronaut

from core.settings import LimeSettings
from models.explain.segmentation import segment
from models.face import Image

CROP: Image = np.ascontiguousarray(astronaut()[0:192, 130:322][::2, ::2])


@pytest.mark.parametrize("how", ["slic", "quickshift"])
def test_segments_are_numbered_without_gaps_and_repeatable(how: str) -> None:
    settings = LimeSettings.model_validate({"segmentation": how})
    found = segment(CROP, settings)
    assert found.shape == CROP.shape[:2]
    assert found.dtype == np.int32
    assert set(np.unique(found)) == set(range(int(found.max()) + 1))
    assert (found == segment(CROP, settings)).all()


def test_more_segments_can_be_asked_for() -> None:
    few, many = (int(segment(CROP, LimeSettings(segments=count)).max()) + 1 for count in (10, 80))
    assert few <= 20 < many


@pytest.mark.parametrize("how", ["slic", "quickshift"])
def test_a_crop_without_any_structure_is_segmented_too(how: str) -> None:
    found = segment(np.full((64, 64, 3), 90, np.uint8), LimeSettings.model_validate({"segmentation": how}))
    assert set(np.unique(found)) == set(range(int(found.max()) + 1))
