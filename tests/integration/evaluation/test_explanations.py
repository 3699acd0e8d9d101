"""`facewarden evaluate --explanations` on a small data set and a small network."""

import json
from pathlib import Path

import pytest
from PIL import Image
from skimage.data import astronaut
from typer.testing import CliRunner

from cli.main import app


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Two genuine and two fake pictures of a face."""
    folder = tmp_path / "labelled"
    for label in ("real", "fake"):
        (folder / label).mkdir(parents=True)
        for number in range(2):
            Image.fromarray(astronaut()[: 260 + number]).save(folder / label / f"{label}{number}.png")
    return folder


def test_flagged_fakes_are_explained_in_every_way(
    checkpoint: Path, labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEWARDEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FACEWARDEN_BACKEND", "fp32")
    out = tmp_path / "out"
    arguments = ["evaluate", str(checkpoint), "--labelled", str(labelled), "--split", "all"]
    done = CliRunner().invoke(app, [*arguments, "--explanations", "1", "--out", str(out)])
    assert done.exit_code == 0, done.output
    found = json.loads((out / "explanations.json").read_text())
    ways = {row["way"]: row for row in found["rows"]}
    assert {row["name"] for row in found["rows"]} <= {"fake0.png", "fake1.png"}
    assert len(found["rows"]) == len(ways) == 5
    settled = ways["LIME"]
    assert settled["samples"] <= 121
    assert 0 <= settled["agreement"] <= 1
    assert ways["LIME, the package's defaults"]["samples"] == 1000
    assert "| LIME | 1 |" in (out / "explanations.md").read_text()
    assert "| LIME | 1 |" in done.output


def test_there_must_be_labelled_media(checkpoint: Path) -> None:
    done = CliRunner().invoke(app, ["evaluate", str(checkpoint), "--explanations", "1"])
    assert done.exit_code != 0
