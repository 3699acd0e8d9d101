"""A run learns, and one that was interrupted is the uninterrupted one to the last bit."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.errors import SettingsError
from models.architectures import build
from models.training.gpu.config import GpuConfig
from models.training.gpu.loop import NOTED_EVERY, Run
from models.training.gpu.mix import PSEUDO
from models.training.gpu.stock import Stock

pytestmark = pytest.mark.slow

CONFIG = GpuConfig(
    architecture="smallcnn", steps=6, pairs=4, input_size=32, margin=1.1, warmup_steps=2, learning_rate=1e-3
)


def begun(stock: Stock, config: GpuConfig = CONFIG) -> Run:
    torch.manual_seed(config.seed)
    return Run(config, stock, build(config.architecture))


def test_a_resumed_run_has_the_weights_of_the_whole_one(stock: Stock, tmp_path: Path) -> None:
    whole = begun(stock)
    assert whole.train()
    first = begun(stock)

    def end(run: Run) -> None:
        if run.step == 3:
            run.save(tmp_path / "state.pt")

    first.train(after_step=end)
    torch.manual_seed(99)  # whatever the second process drew before
    second = begun(stock)
    second.load(tmp_path / "state.pt")
    assert second.step == 3
    assert second.train()
    for name, value in whole.heads.state_dict().items():
        assert torch.equal(value, second.heads.state_dict()[name]), name
        assert torch.equal(whole.average[name], second.average[name]), name
    assert second.history == whole.history
    # The average is not the last step's weights, and what ships.
    assert not torch.equal(whole.average["network.features.0.weight"], whole.heads.network.features[0].weight)
    shipped = whole.averaged()
    assert torch.equal(shipped.state_dict()["pointer.weight"], whole.average["pointer.weight"])
    assert not shipped.training


def test_a_run_on_an_easy_set_learns(stock: Stock) -> None:
    easy = replace(CONFIG, steps=101, shares={"tools": 1.0}, strength=0.0, dropout=0.0, learning_rate=3e-3)
    run = begun(stock, easy)
    assert run.train()
    losses = [entry["loss"] for entry in run.history]
    assert [entry["step"] for entry in run.history] == list(range(0, 101, NOTED_EVERY))
    assert losses[-1] < 0.6 * losses[0]
    assert run.history[-1]["accuracy_real"] > 0.85
    assert run.history[-1]["family"] < run.history[0]["family"]


def test_pseudo_fakes_teach_where_they_are_forged(stock: Stock) -> None:
    run = begun(stock, replace(CONFIG, steps=1, shares={PSEUDO: 1.0}))
    run.train()
    assert run.history[0]["localisation"] > 0
    assert "family" not in run.history[0]
    assert "accuracy_real" not in run.history[0]


def test_a_run_may_be_as_long_as_its_seconds(stock: Stock) -> None:
    run = begun(stock, replace(CONFIG, steps=None, seconds=0.2))
    rates: list[float] = []
    assert run.train(after_step=lambda run: rates.append(run._optimiser.param_groups[0]["lr"]))
    assert run.over
    assert run.seconds >= 0.2
    late = begun(stock, replace(CONFIG, steps=None, seconds=1000.0))
    assert not late.train(until=time.monotonic())
    late.step, late.seconds = 50, 500.0
    assert late._rate() == pytest.approx(CONFIG.learning_rate * (0.01 + 0.99 / 2))
    late.seconds = 1000.0
    assert late._rate() == pytest.approx(CONFIG.learning_rate / 100)


def test_the_learning_rate_warms_up_and_falls(stock: Stock) -> None:
    run = begun(stock, replace(CONFIG, steps=110, warmup_steps=10))
    rates = []
    for step in (0, 9, 60, 110):
        run.step = step
        rates.append(run._rate() / CONFIG.learning_rate)
    assert rates == pytest.approx([0.1, 1, 0.505, 0.01])


def test_the_state_of_another_run_is_refused(stock: Stock, tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    begun(stock).save(path)
    with pytest.raises(SettingsError, match=r"state\.pt.*pairs is 4, not 8"):
        begun(stock, replace(CONFIG, pairs=8)).load(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(SettingsError, match="cannot be read"):
        begun(stock).load(path)
    path.write_bytes(b"")
    with pytest.raises(SettingsError, match="cannot be read"):
        begun(stock).load(path)
