"""The world treats both halves of a pair alike, and a picture stays a picture."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.training.gpu.wear import BLOCK, FLAT_TABLE, JPEG_TABLE, Wear, blurred, coded, levelled

SIZE = 64


def pictures(count: int, seed: int = 0) -> torch.Tensor:
    """Smooth ones, with detail."""
    noise = torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))
    return (blurred(noise, 2.0) + 0.2 * (noise - 0.5)).clamp(0, 1)


@given(seed=st.integers(0, 2**31), strength=st.floats(0, 1))
def test_two_identical_halves_stay_identical_and_in_range(seed: int, strength: float) -> None:
    pairs = pictures(2).repeat_interleave(2, 0)
    torch.manual_seed(seed)
    worn = Wear(torch.Generator().manual_seed(seed), strength=strength)(pairs)
    assert worn.shape == pairs.shape
    assert torch.isfinite(worn).all()
    assert 0 <= float(worn.min()) <= float(worn.max()) <= 1
    assert torch.allclose(worn[::2], worn[1::2], atol=1e-5)


def test_pairs_have_histories_of_their_own_and_one_generator_repeats_them() -> None:
    pairs = pictures(1).repeat(40, 1, 1, 1)
    worn = []
    for _ in range(2):
        torch.manual_seed(3)
        worn.append(Wear(torch.Generator().manual_seed(3), strength=0.7)(pairs))
    assert torch.equal(*worn)
    assert float((worn[0][0] - worn[0][2]).abs().mean()) > 0.003  # colours are drawn by pair
    assert float((worn[0] - pairs).abs().mean()) > 0.02


@pytest.mark.parametrize("offset", [(0, 0), (3, 5)])
@pytest.mark.parametrize("subsampled", [False, True])
def test_a_fine_table_leaves_a_picture_nearly_as_it_was(offset: tuple[int, int], subsampled: bool) -> None:
    # Gray: colours at half the resolution are not what they were.
    images = pictures(2).mean(1, keepdim=True).expand(-1, 3, -1, -1)
    fine = coded(images, torch.ones(BLOCK, BLOCK), offset, subsampled=subsampled)
    assert float((fine - images).abs().max()) < 0.02
    coarse = coded(images, FLAT_TABLE * 2, offset, subsampled=subsampled)
    assert 0.01 < float((coarse - images).abs().mean()) < 0.2


def test_a_coarser_table_leaves_less() -> None:
    images = pictures(2)
    losses = [
        float((coded(images, JPEG_TABLE * scale, (0, 0), subsampled=False) - images).abs().mean())
        for scale in (0.1, 1.0, 4.0)
    ]
    assert losses == sorted(losses)
    assert losses[2] > 2 * losses[0]


def test_blocks_begin_where_the_offset_says() -> None:
    """A table that keeps nothing but the mean of each block shows its grid."""
    images = pictures(1)
    table = torch.full((BLOCK, BLOCK), 1e4)
    table[0, 0] = 1
    rows = coded(images, table, (3, 0), subsampled=False)[0, 0]
    changes = (rows[1:] - rows[:-1]).abs().amax(1) > 1e-4
    assert {int(row) % BLOCK for row in changes.nonzero()} == {BLOCK - 3 - 1}


@given(sigma=st.floats(0.3, 4))
def test_a_blur_keeps_the_light_and_takes_the_detail(sigma: float) -> None:
    flat = torch.full((1, 3, 20, 32), 0.3)
    assert torch.allclose(blurred(flat, sigma), flat, atol=1e-5)
    point = torch.zeros(1, 1, 41, 41)
    point[..., 20, 20] = 1
    spread = blurred(point, sigma)[0, 0]
    assert float(spread.sum()) == pytest.approx(1, abs=1e-4)
    assert torch.allclose(spread, spread.T, atol=1e-6)
    assert torch.allclose(spread, spread.flip(0), atol=1e-6)
    across = (torch.arange(41) - 20.0) ** 2
    assert float((spread.sum(0) * across).sum()) == pytest.approx(sigma**2, rel=0.35, abs=0.1)


def test_levelled_pairs_have_colours_and_sharpness_in_common() -> None:
    sharp, other = pictures(2).split(1)
    soft = (blurred(other, 1.5) * 0.8 * torch.tensor([1.0, 0.8, 0.9])[:, None, None]).clamp(0, 1)
    for part in (0.0, 0.5, 1.0):
        genuine, fake = levelled(torch.cat([sharp, soft]), torch.tensor([part]))
        assert torch.allclose(genuine.mean((1, 2)), fake.mean((1, 2)), atol=0.01)
        assert detail(genuine) == pytest.approx(detail(fake), rel=0.35)
    assert detail(sharp[0]) > 3 * detail(soft[0])
    # Colours are the genuine picture's with 0, the fake's with 1.
    ends = [levelled(torch.cat([sharp, soft]), torch.tensor([part])) for part in (0.0, 1.0)]
    assert torch.allclose(ends[0][1].mean((1, 2)), sharp[0].mean((1, 2)), atol=0.01)
    assert torch.allclose(ends[1][0].mean((1, 2)), soft[0].mean((1, 2)), atol=0.01)


def test_a_pair_that_is_level_stays_as_it_is() -> None:
    pair = pictures(1).repeat_interleave(2, 0)
    assert torch.allclose(levelled(pair, torch.tensor([0.3])), pair, atol=1e-4)


def detail(image: torch.Tensor) -> float:
    return float((image - blurred(image[None], 1.0)[0]).square().mean().sqrt())
