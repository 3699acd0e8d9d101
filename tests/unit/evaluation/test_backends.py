"""Backends: each says what fp32 says, and one that does not is found out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation import backends
from evaluation.backends import RoundingBackend, agreements
from evaluation.held_out_crops import LabelledCrops
from models.backends import Answers, CropNetwork, Crops, TorchBackend
from models.checkpoint import load_checkpoint
from models.device import cpu_has_bf16

MakeCheckpoint = Callable[..., Path]


@pytest.fixture
def crops() -> LabelledCrops:
    """Soft and sharp noise: what any network tells apart a little."""
    rng = np.random.default_rng(0)
    fake = np.arange(96) % 2 == 1
    images = rng.normal(128, 12 + 6 * fake[:, None, None, None], (96, 64, 64, 3))
    images += rng.normal(0, 25, (96, 1, 1, 3))
    names = np.arange(96).astype(np.str_)
    return LabelledCrops(images=np.clip(images, 0, 255).astype(np.uint8), fake=fake, group=names, kind=names)


def test_every_backend_agrees_with_fp32(make_checkpoint: MakeCheckpoint, crops: LabelledCrops) -> None:
    made = {each.backend: each for each in agreements(make_checkpoint(), crops)}
    assert list(made) == ["fp32", "bf16", "fp16", "openvino fp32", "openvino bf16"]
    assert made["fp32"].auc_difference == made["fp32"].largest_difference == 0
    assert made["fp32"].auc is not None
    assert abs(made["fp32"].auc - 0.5) > 0.05  # the scores mean something, so that a change would show
    if not cpu_has_bf16():
        assert "no bf16" in made.pop("openvino bf16").note
    for each in made.values():
        assert each.crops == 96
        assert each.agrees, each
    assert made["bf16"].largest_difference  # narrower than fp32: what was compared is not fp32 itself
    assert made["fp16"].largest_difference


@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_rounding_says_what_the_narrow_arithmetic_says(
    name: str, make_checkpoint: MakeCheckpoint, crops: LabelledCrops
) -> None:
    network, version = load_checkpoint(make_checkpoint())
    module = CropNetwork(network, version).eval()
    exact = TorchBackend(module, name="fp32", device="cpu", batch_size=16).run(crops.images)
    emulated = TorchBackend(module, name=name, device="cpu", batch_size=16).run(crops.images)
    rounded = RoundingBackend(module, name=name, device="cpu").run(crops.images)
    error = np.abs(emulated - exact).mean()
    assert 0.2 * error < np.abs(rounded - exact).mean() < 5 * error


class Broken:
    """A backend of given logits."""

    name = precision = "bf16"

    def __init__(self, *logits: float) -> None:
        self._logits = logits

    def run(self, images: Crops) -> Answers:
        return np.resize(np.array(self._logits, np.float32), (len(images), 1))


@pytest.mark.parametrize("logits", [(1.0, 1.0), (np.nan, 1.0)])
def test_a_backend_that_says_something_else_is_found_out(
    logits: tuple[float, ...],
    make_checkpoint: MakeCheckpoint,
    crops: LabelledCrops,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = backends.start

    def start(name: str, **given: Any) -> tuple[Any, str]:
        return (Broken(*logits), "") if name == "bf16" else honest(name, **given)

    monkeypatch.setattr(backends, "start", start)
    _, wrong = agreements(make_checkpoint(), crops, backends=("bf16",))
    assert not wrong.agrees
    assert (wrong.auc is None) == bool(np.isnan(logits[0]))
    assert wrong.auc is not None or "finite" in wrong.note
