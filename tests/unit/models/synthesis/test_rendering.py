"""Kinds that a network draws: only under their mask; a swap draws the other person."""

import numpy as np
import pytest

from models.synthesis.forgery import GenuineFace
from models.synthesis.kinds import make
from models.synthesis.rendering import RENDERINGS
from tests.forged_face import CROP, LANDMARKS, forgery, masks_of


@pytest.mark.parametrize("kind", RENDERINGS)
def test_only_what_lies_under_the_mask_changes(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    masks = masks_of("models.synthesis.rendering", monkeypatch)
    for seed in range(6):
        masks.clear()
        fake = make(kind, forgery(seed))
        (mask,) = masks
        assert (fake[mask == 0] == CROP[mask == 0]).all()
        assert 1 < np.abs(fake.astype(int) - CROP)[mask > 0.5].mean() < 60  # seen, and still a face


@pytest.mark.parametrize("kind", RENDERINGS)
@pytest.mark.slow
def test_half_of_them_are_of_another_person(kind: str) -> None:
    """A stranger without a face: what comes of the target shows no trace of that."""
    blank = GenuineFace(image=np.full_like(CROP, 90), landmarks=LANDMARKS, gray=False)
    swapped = 0
    for seed in range(12):
        swapped += bool((make(kind, forgery(seed)) != make(kind, forgery(seed, other=blank))).any())
    assert 2 <= swapped <= 10
