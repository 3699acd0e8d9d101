"""Sharpness-aware minimisation is the paper's."""

from pathlib import Path

import pytest
import torch
from torch import nn

from models.training.config import TrainConfig
from models.training.optim import SharpnessAware, make_optimiser


def test_the_gradient_is_that_of_the_worst_place_nearby() -> None:
    network = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[3.0, 4.0]]))

    def loss() -> torch.Tensor:
        return 0.5 * (network.weight**2).sum()  # its gradient is the weights themselves

    loss().backward()
    with SharpnessAware(network, radius=0.5):
        loss().backward()
    # Uphill is along the weights: 0.5 further than (3, 4), whose length is 5.
    assert network.weight.grad is not None
    assert network.weight.grad.tolist()[0] == pytest.approx([3.3, 4.4])
    assert network.weight.tolist() == [[3.0, 4.0]]


def test_running_statistics_stand_still_uphill() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).train()
    norm = network[1]
    assert isinstance(norm, nn.BatchNorm1d)
    network(torch.randn(8, 3)).square().sum().backward()
    mean = norm.running_mean
    assert mean is not None
    before = mean.clone()
    with SharpnessAware(network, radius=0.1):
        network(torch.randn(8, 3)).square().sum().backward()
    assert torch.equal(mean, before)
    assert norm.momentum == 0.1
    network(torch.randn(8, 3))
    assert not torch.equal(mean, before)


@pytest.mark.parametrize(
    ("name", "kind"), [("adamw", torch.optim.AdamW), ("sam", torch.optim.AdamW), ("adam", torch.optim.Adam)]
)
def test_optimisers_by_name(name: str, kind: type) -> None:
    config = TrainConfig(data=Path(), out=Path(), optimiser=name, weight_decay=0.5)  # type: ignore[arg-type]
    optimiser = make_optimiser(config, nn.Linear(1, 1).parameters())
    assert type(optimiser) is kind
    assert optimiser.param_groups[0]["weight_decay"] == 0.5
