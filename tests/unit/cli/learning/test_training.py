"""The options of `facewarden train` become the config of a run."""

import json
import shlex
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from evaluation.report.lineage import train_command
from models.synthesis.kinds import TRAINED_KINDS
from models.training.config import OPTIONS, TrainConfig, paper


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Runs the command with options; gives the config that the training would have got, or the output."""

    def ask(*options: str) -> TrainConfig | str:
        given: list[TrainConfig] = []
        monkeypatch.setattr(
            "cli.learning.training.run_training", lambda _settings, config: given.append(config)
        )
        result = CliRunner().invoke(app, ["train", "--data", str(tmp_path), *options])
        return given[0] if given else result.output

    return ask


def test_the_default_preset_is_the_one_that_made_the_shipped_weights(asked: Any) -> None:
    config = asked("--steps", "1700", "--seed", "1")
    assert (config.steps, config.seed, config.preset, config.optimiser) == (1700, 1, "default", "adamw")
    assert (config.start_size, config.input_size, config.pairs_per_batch) == (112, 128, 16)
    assert config.kinds == TRAINED_KINDS
    assert (config.easy_until, config.localisation) == (0.6, 1.0)
    assert config.pseudo_share is None
    assert asked().steps == 650


def test_what_is_not_said_is_as_the_config_has_it(asked: Any, tmp_path: Path) -> None:
    plain = asked()
    assert replace(plain, command="") == TrainConfig(data=tmp_path, out=Path("build/train"))
    published = paper(TrainConfig(data=tmp_path, out=Path("build/train")))
    assert replace(asked("--preset", "paper"), command="") == published


SAID = {
    "--arch": "smallcnn",
    "--preset": "paper",
    "--epochs": "3",
    "--steps": "9",
    "--stop-at": "5",
    "--limit": "20",
    "--init": "start.safetensors",
    "--pretrained": None,
    "--generator": "drawn",
    "--pseudo-fakes": "0.3",
    "--kind": "swap",
    "--split": "70/20/10",
    "--frames": "5",
    "--sizes": "64,96@0.5",
    "--easy-until": "0.3",
    "--strength": "0.4",
    "--localisation": "0.5",
    "--optimiser": "sam",
    "--learning-rate": "0.002",
    "--precision": "fp32",
    "--compile": None,
    "--loaders": "0",
    "--tensorboard": None,
    "--label": "mine",
    "--seed": "7",
}


def test_each_option_of_the_config_can_be_said(asked: Any) -> None:
    assert {option.name for option in OPTIONS.values()} == SAID.keys()
    for name, option in OPTIONS.items():
        value = SAID[option.name]
        said = getattr(asked(option.name, *filter(None, [value])), name)
        assert said not in (getattr(asked(), name), None), name
        if not isinstance(said, tuple | bool):
            assert str(said) == value


def test_the_help_shows_the_configs_defaults() -> None:
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["train", "--help"]).output
    for words in ("[default: 650]", "[default: 32]", "[default: 80/10/10]", "[default: 0.0003]"):
        assert words in shown


def test_the_command_is_kept_for_the_record(asked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["facewarden", "train", "--batch-size", "48"])
    assert asked("--batch-size", "48").command == "facewarden train --batch-size 48"


@pytest.mark.parametrize(
    "options",
    [
        ("--batch-size", "48", "--split", "70/20/10", "--frames", "5", "--pseudo-fakes", "0.3"),
        ("--steps", "77", "--sizes", "64,96@0.5", "--kind", "swap", "--seed", "4", "--label", "mine"),
        ("--preset", "paper", "--batch-size", "16", "--arch", "smallcnn", "--strength", "0.4"),
    ],
)
def test_a_record_without_its_command_makes_one_that_asks_for_the_same(
    asked: Any, options: tuple[str, ...]
) -> None:
    config = asked(*options)
    record = json.loads(json.dumps({**asdict(config), "data": None, "out": None}))
    words = shlex.split(train_command(record).replace("\\\n", " "))
    again = asked(*words[words.index("--out") :])
    assert replace(again, command="") == replace(config, command="")


def test_the_published_protocol_and_what_goes_before_it(asked: Any) -> None:
    paper = asked("--preset", "paper")
    assert (paper.epochs, paper.head, paper.localisation) == (20, "paper", 0)
    changed = asked("--preset", "paper", "--epochs", "3", "--batch-size", "32", "--optimiser", "sam")
    assert (changed.epochs, changed.pairs_per_batch, changed.optimiser) == (3, 16, "sam")
    assert changed.learning_rates == "plateau"
    by_steps = asked("--preset", "paper", "--steps", "9")
    assert (by_steps.steps, by_steps.epochs) == (9, None)


def test_lists_of_numbers(asked: Any) -> None:
    config = asked("--sizes", "112,224@0.5,299@0.8", "--split", "100000/20000/20000")
    assert config.sizes == ((0.0, 112), (0.5, 224), (0.8, 299))
    assert config.input_size == 299
    assert config.shares == (100000, 20000, 20000)
    config = asked("--easy-until", "0.25", "--localisation", "0", "--strength", "0.3")
    assert (config.easy_until, config.localisation, config.final_strength) == (0.25, 0.0, 0.3)
    config = asked("--kind", "swap", "--kind", "chroma", "--generator", "a", "--generator", "b")
    assert config.kinds == ("swap", "chroma")
    assert config.generators == (Path("a"), Path("b"))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--preset", "best"),
        ("--optimiser", "sgd"),
        ("--precision", "fp8"),
        ("--kind", "magic"),
        ("--split", "80/20"),
        ("--split", "0/50/50"),
        ("--sizes", "large"),
        ("--sizes", "112@0.5"),
        ("--sizes", "112,224@0.5,299@0.2"),
        ("--sizes", "112,4@0.5"),
    ],
)
def test_what_makes_no_sense_is_refused(asked: Any, option: str, value: str) -> None:
    assert option in asked(option, value)
