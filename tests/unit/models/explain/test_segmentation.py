"""Segmentations that LIME can number its columns by."""

import numpy as np
import pytest
from skimage.data import astronaut

from core.settings import LimeSettings
from models.explain.segmentation import segment
from models.face import Image, Landmarks

LANDMARKS = np.array([[32, 40], [62, 40], [47, 58], [34, 72], [60, 72]], np.float32)
CROP: Image = np.ascontiguousarray(astronaut()[0:192, 130:322][::2, ::2])


@pytest.mark.parametrize("how", ["slic", "quickshift"])
def test_segments_are_numbered_without_gaps_and_repeatable(how: str) -> None:
    settings = LimeSettings.model_validate({"segmentation": how})
    found = segment(CROP, settings).numbers
    assert found.shape == CROP.shape[:2]
    assert found.dtype == np.int32
    assert set(np.unique(found)) == set(range(int(found.max()) + 1))
    assert (found == segment(CROP, settings).numbers).all()


def test_more_segments_can_be_asked_for() -> None:
    few, many = (segment(CROP, LimeSettings(segmentation="slic", segments=count)).count for count in (10, 80))
    assert few <= 20 < many


@pytest.mark.parametrize("how", ["slic", "quickshift"])
def test_a_crop_without_any_structure_is_segmented_too(how: str) -> None:
    found = segment(
        np.full((64, 64, 3), 90, np.uint8), LimeSettings.model_validate({"segmentation": how})
    ).numbers
    assert set(np.unique(found)) == set(range(int(found.max()) + 1))


def test_by_default_the_segments_are_the_parts_of_the_face() -> None:
    found = segment(CROP, LimeSettings(), LANDMARKS)
    assert found.made_by == "parts"
    assert found.count == len(found.parts)
    assert found.parts[found.numbers[58, 47]] == "nose"


@pytest.mark.parametrize("landmarks", [None, np.zeros((5, 2), np.float32)])
def test_without_landmarks_slic_takes_their_place(landmarks: Landmarks | None) -> None:
    found = segment(CROP, LimeSettings(), landmarks)
    assert found.made_by == "slic"
    assert list(found.parts) == []
    assert found.count > 20
