"""Pseudo-fakes: seeded, local, of every kind; degradation alike for both halves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.synthesis.augment import draw, through_codec
from models.synthesis.blending import Region, region_mask, similarity, swap_face
from models.synthesis.kinds import HELD_OUT_KINDS, KINDS, TRAINED_KINDS, make
from models.synthesis.rendering import RENDERINGS
from models.synthesis.resynthesis import RESYNTHESES
from tests.forged_face import CROP, LANDMARKS, forgery, masks_of


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_changes_the_face_and_leaves_the_corners(kind: str) -> None:
    fake = make(kind, forgery(1))
    assert fake.shape == CROP.shape
    assert fake.dtype == np.uint8
    changed = np.abs(fake.astype(int) - CROP).max(axis=2)
    assert changed[60:140, 50:110].max() > 3
    assert changed[:6, :6].max() == changed[-4:, -4:].max() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_fake(kind: str) -> None:
    assert (make(kind, forgery(5)) == make(kind, forgery(5))).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_gray_face_gives_a_gray_fake(kind: str) -> None:
    fake = make(kind, forgery(2, gray=True)).astype(int)
    assert np.ptp(fake, axis=2).max() == 0


def test_held_out_kinds_are_not_trained_on() -> None:
    assert len(HELD_OUT_KINDS) >= 2
    assert not set(HELD_OUT_KINDS) & set(TRAINED_KINDS)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.3, 3), st.floats(-3.1, 3.1), st.floats(-50, 50), st.floats(-50, 50))
def test_similarity_recovers_a_similarity(scale: float, angle: float, x: float, y: float) -> None:
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = (LANDMARKS @ (scale * rotation).T + np.array([x, y])).astype(np.float32)
    matrix = similarity(LANDMARKS, moved)
    assert LANDMARKS @ matrix[:, :2].T + matrix[:, 2] == pytest.approx(moved, abs=1e-2)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["face", "inner", "mouth", "eyes"]), st.floats(0, 0.6))
def test_a_mask_is_an_opacity(seed: int, region: Region, feather: float) -> None:
    mask = region_mask((160, 160), LANDMARKS, region, rng=np.random.default_rng(seed), feather=feather)
    assert mask.shape == (160, 160)
    assert 0 <= mask.min() <= mask.max() <= 1 + 1e-6


def test_a_swap_takes_the_other_face() -> None:
    other = np.full_like(CROP, 200)
    other[..., 2] = 40
    swapped = swap_face(
        CROP, LANDMARKS, other, LANDMARKS, rng=np.random.default_rng(0), colour=0.0, feather=0.1
    )
    assert swapped[90, 80].astype(int) == pytest.approx([200, 200, 40], abs=3)
    assert (swapped[:5] == CROP[:5]).all()


@pytest.mark.parametrize("seed", range(6))
def test_both_halves_are_degraded_alike(seed: int) -> None:
    degradation = draw(np.random.default_rng(seed), strength=0.8)
    assert (degradation.photometric(CROP) == degradation.photometric(CROP.copy())).all()


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9"])
def test_a_codec_loses_more_at_a_higher_crf(codec: str) -> None:
    fine, coarse = (through_codec([CROP] * 3, codec, crf) for crf in (20, 40))
    assert len(fine) == len(coarse) == 3
    losses = [np.abs(one[1].astype(int) - CROP).mean() for one in (fine, coarse)]
    assert losses[0] < losses[1]


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind not in {"poisson", *RESYNTHESES, *RENDERINGS}]
)
def test_a_kind_changes_only_what_lies_under_its_mask(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Poisson blending hands its mask to OpenCV and is tested by its corners alone."""
    masks = masks_of("models.synthesis.kinds", monkeypatch)
    for seed in range(8):
        masks.clear()
        fake = make(kind, forgery(seed, difficulty=seed / 8))
        assert len(masks) == 1
        assert (fake[masks[0] == 0] == CROP[masks[0] == 0]).all()
        assert 0.01 < (masks[0] > 0.25).mean() < 0.8  # a wide feather's tail reaches almost everywhere
