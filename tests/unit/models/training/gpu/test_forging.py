"""A pseudo-fake is the genuine crop, but under its mask."""

import numpy as np
import pytest
import torch

from models.synthesis.renderers import RENDERERS, load_renderer
from models.training.gpu import forging
from models.training.gpu.forging import KINDS, REGIONS, Forged, Forger
from models.training.gpu.stock import Stock
from tests.face_pack import view

SIZE = 48


def forged(
    stock: Stock, kind: str, monkeypatch: pytest.MonkeyPatch, seed: int = 0
) -> tuple[torch.Tensor, Forged]:
    """The genuine crops of two faces, and fakes of that kind alone."""
    monkeypatch.setattr(forging, "SHARES", torch.tensor([float(each == kind) for each in KINDS]))
    renderers = {name: load_renderer(name) for name in RENDERERS if name == kind}
    places, others = torch.tensor([0, 2]), torch.tensor([4, 6])
    grid = stock.grid(places, view(2), SIZE)
    fakes = Forger(stock, torch.Generator().manual_seed(seed), renderers).forge(places, others, grid)
    return stock.sample(places, grid), fakes


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "whole"])
def test_a_fake_differs_from_the_genuine_crop_inside_its_mask_only(
    stock: Stock, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine, fakes = forged(stock, kind, monkeypatch)
    assert fakes.images.shape == (2, 3, SIZE, SIZE)
    assert fakes.masks.shape == (2, SIZE, SIZE)
    assert 0 <= float(fakes.images.min()) <= float(fakes.images.max()) <= 1
    outside = (fakes.masks == 0)[:, None].expand_as(genuine)
    assert float(outside.float().mean()) > 0.2
    assert torch.equal(fakes.images[outside], genuine[outside])
    assert float((fakes.images - genuine).abs()[~outside].mean()) > 0.002
    again = forged(stock, kind, monkeypatch)[1]
    assert torch.equal(again.images, fakes.images)


@pytest.mark.parametrize("seed", range(4))
def test_a_whole_fake_is_new_from_edge_to_edge(
    stock: Stock, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    crops, fakes = forged(stock, "whole", monkeypatch, seed)
    assert float(fakes.masks.min()) == 1
    assert float((fakes.images - crops).abs().mean((1, 2, 3)).min()) > 0.005
    # The same person in the same light, and its genuine partner is at most softer.
    assert np.corrcoef(fakes.images.numpy().ravel(), crops.numpy().ravel())[0, 1] > 0.8
    assert np.corrcoef(fakes.genuine.numpy().ravel(), crops.numpy().ravel())[0, 1] > 0.95


def test_doubling_keeps_the_colours(stock: Stock) -> None:
    plain = torch.full((1, 3, 20, 20), 0.4)
    doubled = Forger(stock, torch.Generator().manual_seed(0))._doubled(plain)
    assert doubled.shape == (1, 3, 40, 40)
    assert float(doubled.mean()) == pytest.approx(0.4, abs=0.02)


def test_without_renderers_other_kinds_are_made(stock: Stock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forging, "SHARES", torch.tensor([float(each == "painter") for each in KINDS]))
    grid = stock.grid(torch.tensor([0]), view(1), SIZE)
    fakes = Forger(stock, torch.Generator().manual_seed(0)).forge(torch.tensor([0]), torch.tensor([4]), grid)
    assert float(fakes.masks.max()) > 0.5


@pytest.mark.parametrize("region", REGIONS)
def test_a_mask_lies_where_its_region_is(stock: Stock, region: str) -> None:
    place = torch.tensor([0])
    points = stock.frames(place).of(stock.grid(place, view(1), SIZE))
    mask = Forger(stock, torch.Generator().manual_seed(0))._mask(points, region=region)[0]
    (x, y), _ = REGIONS[region]
    centre = (points[0] - torch.tensor([x, y])).norm(dim=-1).argmin()
    assert float(mask.flatten()[centre]) > 0.9
    assert float(mask[0, 0]) == 0
    mean = (points[0] * mask[..., None]).sum((0, 1)) / mask.sum()
    assert float((mean - torch.tensor([x, y])).norm()) < 0.35
