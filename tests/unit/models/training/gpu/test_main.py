"""The command of a GPU machine: pieces, result, mean, checkpoint; and that it needs little."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from core.command_line import command_line
from core.errors import WeightsError
from core.families import Family
from evaluation.report.lineage import train_commands
from evaluation.report.model_card import PARTS
from models.checkpoint import load_checkpoint
from models.training.gpu.__main__ import EXIT_FAILED, EXIT_UNFINISHED, main
from models.training.gpu.export import export_run
from models.training.gpu.heads import read_heads
from models.training.gpu.pack import write_pack
from tests import face_pack

pytestmark = pytest.mark.slow

SMALL = ("--arch", "smallcnn", "--pairs", "2", "--input-size", "32", "--device", "cpu")
ABSENT = ("typer", "structlog", "pydantic", "cv2", "av", "facenet_pytorch", "rich", "sklearn", "matplotlib")


@pytest.fixture(scope="session")
def pack_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack of twelve faces."""
    path = tmp_path_factory.mktemp("packs") / "films.safetensors"
    write_pack(path, face_pack.make())
    return path


@pytest.fixture
def train(pack_file: Path) -> Any:
    """Runs the command; gives its exit code."""

    def run(out: Path, *options: str) -> int:
        return main([str(pack_file), "--out", str(out), *SMALL, *options])

    return run


def test_it_trains_where_little_is_installed(pack_file: Path, tmp_path: Path) -> None:
    """A rented machine has torch and timm; the other libraries of the project are missing."""
    without = f"import sys; sys.modules.update(dict.fromkeys({ABSENT!r})); "
    code = f"{without}from models.training.gpu.__main__ import main; sys.exit(main(sys.argv[1:]))"
    words = [sys.executable, "-c", code, str(pack_file), "--out", str(tmp_path), *SMALL, "--steps", "2"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "12 faces on cpu" in done.stdout
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert {score["clip"] for score in scores} == {"g4/genuine", "g4/fake", "g5/genuine", "g5/fake"}
    assert json.loads((tmp_path / "history.json").read_text())[0]["loss"] > 0


def test_a_run_in_pieces_is_the_run_in_one(train: Any, tmp_path: Path) -> None:
    assert train(tmp_path / "one", "--steps", "3") == 0
    pieces = tmp_path / "pieces"
    codes = [train(pieces, "--steps", "3", "--piece", "1e-9")]
    assert not (pieces / "heads.safetensors").exists()
    codes.append(train(pieces, "--steps", "3"))
    assert codes == [EXIT_UNFINISHED, 0]
    whole, record = read_heads(tmp_path / "one")
    again, _ = read_heads(pieces)
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert record["config"]["steps"] == 3
    assert record["pictures"] == 12
    assert record["packs"][0]["name"] == "films.safetensors"
    assert record["commands"] == [
        "python -m models.training.gpu films.safetensors --out one --arch smallcnn --pairs 2 "
        "--input-size 32 --device cpu --steps 3"
    ]


def test_labels_are_as_smooth_as_asked(train: Any, tmp_path: Path) -> None:
    losses = []
    for smoothing in ("0", "1"):
        out = tmp_path / smoothing
        assert train(out, "--steps", "1", "--label-smoothing", smoothing) == 0
        losses.append(json.loads((out / "history.json").read_text())[0]["loss"])
        assert read_heads(out)[1]["config"]["label_smoothing"] == float(smoothing)
    assert losses[0] != losses[1]


def test_runs_are_averaged_and_become_a_checkpoint_that_starts_the_next(
    train: Any, tmp_path: Path, checkpoint: Path
) -> None:
    for seed in ("1", "2"):
        assert train(tmp_path / seed, "--steps", "1", "--seed", seed, "--init", str(checkpoint)) == 0
    assert train(tmp_path / "soup", "--average", str(tmp_path / "1"), str(tmp_path / "2")) == 0
    soup, record = read_heads(tmp_path / "soup")
    first, second = (read_heads(tmp_path / seed)[0] for seed in ("1", "2"))
    name = "network.features.0.weight"
    assert torch.allclose(soup[name], (first[name] + second[name]) / 2, atol=1e-3)
    assert record["averaged"] == ["1", "2"]
    assert (tmp_path / "soup" / "scores.json").is_file()
    out = tmp_path / "small.safetensors"
    words = ["export-gpu", str(tmp_path / "soup"), "--out", str(out), "--label", "small-1"]
    made = export_run(tmp_path / "soup", out, label="small-1", command=command_line(words))
    network, version = load_checkpoint(out)
    assert version.id == made.id
    assert (version.label, version.input_size, version.crop.margin) == ("small-1", 32, 1.3)
    assert torch.equal(network.state_dict()["features.0.weight"], soup[name])
    assert version.families == tuple(Family)
    for head in ("family.weight", "pointer.bias"):
        assert torch.equal(network.state_dict()[f"heads.{head}"], soup[head])
    assert version.training["started_from"]["id"].startswith("smallcnn-")
    commands = train_commands(version.training)
    assert len(commands) == 4
    assert commands[-1] == "facewarden export-gpu soup --out small.safetensors --label small-1"
    card = PARTS["training"]({"checkpoint": {"training": version.training}})
    assert "| preset | gpu |" in card
    assert "| pictures seen | 8 |" in card
    assert train(tmp_path / "next", "--steps", "1", "--init", str(out)) == 0


def test_what_is_wrong_is_said_on_one_line(
    train: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path / "a", "--without", "magic") == EXIT_FAILED
    assert "'magic'" in capsys.readouterr().err
    assert train(tmp_path / "a", "--init", str(tmp_path / "none.safetensors")) == EXIT_FAILED
    assert "none.safetensors" in capsys.readouterr().err
    assert main([str(tmp_path), "--out", str(tmp_path / "a")]) == EXIT_FAILED
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(WeightsError, match="not a finished run"):
        export_run(tmp_path, tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    "options",
    [
        ("--steps", "0"),
        ("--share", "tools"),
        ("--share", "tools=-1"),
        ("--strength", "2"),
        ("--steps", "3", "--seconds", "3"),
        ("--piece", "0"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    train: Any, tmp_path: Path, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        train(tmp_path, *options)
    assert options[-2] in capsys.readouterr().err
