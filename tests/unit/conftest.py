"""Checkpoints with seeded random weights whose logits differ from picture to picture."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from core.model_version import Calibration, CropSettings, ModelVersion
from models.architectures import HEADS, architecture, build
from models.checkpoint import save_checkpoint
from models.heads import AuxiliaryHeads

MakeCheckpoint = Callable[..., Path]


def lively(name: str, size: int) -> nn.Module:
    """A network whose batch norms fit its random weights; else all its logits would be about one."""
    torch.manual_seed(0)
    network = build(name).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network(torch.randn(8, 3, size, size))
        last = [module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d)][-1]
        last.weight *= 20
    return network.eval()


@pytest.fixture
def make_checkpoint(tmp_path: Path) -> MakeCheckpoint:
    return checkpoints_in(tmp_path)


@pytest.fixture(scope="session")
def plain_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one that `make_checkpoint()` makes, for tests that only read it."""
    return checkpoints_in(tmp_path_factory.mktemp("plain"))()


def checkpoints_in(folder: Path) -> MakeCheckpoint:
    def make(name: str = "smallcnn", size: int = 64, *, half: bool = True, **values: object) -> Path:
        entry = architecture(name)
        version = ModelVersion(
            **{  # type: ignore[arg-type]
                "architecture": name,
                "label": "test-1",
                "weights_sha256": "",
                "input_size": size,
                "mean": entry.mean,
                "std": entry.std,
                "crop": CropSettings(margin=1.4),
                "calibration": Calibration(slope=1.5, intercept=-0.25, method="platt", fitted_on="nothing"),
                "fake_threshold": 0.75,
                "suspect_threshold": 0.5,
                "training": {"steps": 3},
                **values,
            }
        )
        path = folder / f"{name}.safetensors"
        network = lively(name, size)
        if version.families:
            torch.manual_seed(2)  # whatever the network is, the heads are the same
            network.add_module(HEADS, AuxiliaryHeads(entry.features, len(version.families)))
        save_checkpoint(path, network, version, half=half)
        return path

    return make
