"""The layers that a run leaves as they are stay so to the last bit; the others learn."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from core.errors import SettingsError
from models.architectures import build
from models.training.gpu.config import GpuConfig
from models.training.gpu.frozen import first_layers
from models.training.gpu.loop import Run
from models.training.gpu.stock import Stock

CONFIG = GpuConfig(architecture="smallcnn", steps=2, pairs=4, input_size=32, warmup_steps=1)


def test_layers_are_those_before_the_last_and_itself() -> None:
    network = build("xception")
    layers = first_layers(network, "block2")
    names = {id(module): name for name, module in network.named_modules()}
    assert [names[id(layer)] for layer in layers] == [
        "conv1", "bn1", "act1", "conv2", "bn2", "act2", "block1", "block2",
    ]  # fmt: skip


def test_a_layer_may_lie_within_another() -> None:
    inner = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1))
    network = nn.Sequential(nn.Linear(1, 1), inner)
    assert first_layers(network, "1.1") == [network[0], inner[0], inner[1]]


@pytest.mark.parametrize(
    ("name", "known"),
    [("block13", "block11, block12"), ("conv1.weight", r"\[\]"), ("block1.", "skip, skipbn")],
)
def test_an_unknown_layer_is_refused_and_the_known_are_named(name: str, known: str) -> None:
    with pytest.raises(SettingsError, match=f"--frozen: no layer '{name}': .*{known}"):
        first_layers(build("xception"), name)


@pytest.mark.slow
def test_frozen_layers_keep_weights_and_statistics_and_the_others_learn(stock: Stock) -> None:
    torch.manual_seed(0)
    network = build("smallcnn")
    run = Run(replace(CONFIG, frozen="features.4"), stock, network)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert run.train()
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    frozen = {name for name in before if name.startswith("features.") and name < "features.5"}
    assert frozen
    assert changed == set(before) - frozen
    for name in frozen:
        assert torch.equal(run.average[f"network.{name}"], before[name]), name
