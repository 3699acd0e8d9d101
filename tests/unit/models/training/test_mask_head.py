"""Where a forgery is: the truth from the pixels, learnt beside the verdict, left behind at the end."""

import copy

import numpy as np
import pytest
import torch

from models.architectures import architecture, build
from models.datasets.masks import GRID, forged_part, parts_of
from models.training.mask_head import MaskHead, bare, mask_loss

SIDE = 160
GENUINE = np.random.default_rng(0).integers(60, 200, (SIDE, SIDE, 3), dtype=np.uint8)


def mask_head() -> MaskHead:
    torch.manual_seed(0)
    entry = architecture("smallcnn")
    return MaskHead(build("smallcnn"), entry.last_conv, entry.features)


def test_cells_that_were_changed_are_forged_and_others_are_not() -> None:
    fake = GENUINE.copy()
    fake[40:120, 80:160] += 9
    parts = forged_part(GENUINE, fake)
    assert parts.shape == (GRID, GRID)
    assert parts[6:14, 11:19].min() == 1
    assert parts[:4].max() == parts[:, :8].max() == 0
    assert forged_part(GENUINE, GENUINE).max() == 0


def test_a_gap_within_the_forgery_is_forged_too_and_a_soft_tail_is_not() -> None:
    fake = GENUINE.copy()
    fake[40:120, 40:120] += 9
    fake[78:82] = GENUINE[78:82]  # nothing changed there, by chance
    fake[130:] += 1
    parts = forged_part(GENUINE, fake)
    assert parts[6:14, 6:14].min() == 1
    assert parts[17:].max() == 0


def test_without_the_original_only_genuine_pictures_are_known() -> None:
    parts = parts_of(np.array([0, 1, 0], np.float32))
    assert (parts[[0, 2]] == 0).all()
    assert np.isnan(parts[1]).all()


def test_the_loss_is_the_cross_entropy_of_known_cells() -> None:
    parts = torch.zeros(3, GRID, GRID)
    parts[0, :, : GRID // 2] = 1
    parts[2] = torch.nan
    cells = torch.tensor([[2.0, -2.0, 2.0, -2.0], [0.0] * 4, [9.0] * 4])
    right, unsure = np.log1p(np.exp(-2)), np.log(2)
    assert float(mask_loss(cells, parts)) == pytest.approx((right + unsure) / 2, rel=1e-5)


def test_nothing_known_is_no_loss_and_no_gradient_of_nan() -> None:
    cells = torch.zeros(2, 9, requires_grad=True)
    loss = mask_loss(cells, torch.full((2, GRID, GRID), torch.nan))
    (gradient,) = torch.autograd.grad(loss, cells)
    assert float(loss.detach()) == 0
    assert (gradient == 0).all()


def test_cells_are_told_in_training_alone() -> None:
    network = mask_head()
    images = torch.randn(2, 3, 64, 64)
    assert network.train()(images).shape == (2, 1 + 8 * 8)
    with torch.inference_mode():
        assert torch.equal(network.eval()(images), bare(network)(images))
    assert bare(bare(network)) is bare(network)


def test_a_copy_sees_its_own_features() -> None:
    """The moving average is a deep copy: it must not point by the features of the network it follows."""
    network = mask_head().train()
    average = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in average.network.parameters():
            parameter.zero_()
    cells = average(torch.randn(1, 3, 64, 64))[:, 1:].detach()
    assert float(cells.max() - cells.min()) == 0


def test_a_network_learns_where_the_forgery_is() -> None:
    network = mask_head().train()
    images = torch.randn(8, 3, 64, 64) * 0.2
    parts = torch.zeros(8, GRID, GRID)
    images[::2, :, :32, :32] += 1
    parts[::2, : GRID // 2, : GRID // 2] = 1
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(25):
        optimiser.zero_grad()
        loss = mask_loss(network(images)[:, 1:], parts)
        loss.backward()
        optimiser.step()
    cells = network(images)[:, 1:].reshape(8, 8, 8).detach()
    assert cells[::2, :4, :4].mean() > 1
    assert cells[::2, 4:, 4:].mean() < -1
    assert cells[1::2].mean() < -1
