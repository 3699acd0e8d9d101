"""evaluate and calibrate, end to end: clips are made, screened by the worker's pipeline, reported."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from core.errors import SettingsError
from core.model_version import read_model_version
from evaluation.camera import encode
from evaluation.clips import RATE
from evaluation.held_out import moving_camera
from models.datasets.faces import load_photos
from tests import face_folder

SMALL = ["--photos", "1", "--windows", "1", "--frames", "8"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like the corpus: eighty photographs of one face, two videos, both held out of training."""
    folder = face_folder.make(tmp_path_factory.mktemp("data"), faces=80)
    (folder / "videos").mkdir()
    record = load_photos(folder)[0]
    for name in ("a", "b", "c", "d"):
        encode(folder / "videos" / f"{name}.mp4", iter(moving_camera(record, 10).frames), rate=RATE, crf=20)
    return folder


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACEWARDEN_BACKEND", "fp32")
    monkeypatch.delenv("FACEWARDEN_DATA", raising=False)
    return CliRunner()


def test_a_checkpoint_is_calibrated_and_then_compared_on_other_clips(
    data: Path, checkpoint: Path, tmp_path: Path, run: CliRunner
) -> None:
    better = tmp_path / "better.safetensors"
    done = run.invoke(
        app,
        ["calibrate", str(checkpoint), "--out", str(better), "--data", str(data), "--kind", "swap", *SMALL],
        catch_exceptions=False,
    )
    assert done.exit_code == 0, done.output
    version = read_model_version(better)
    assert version.calibration.method == "platt"
    assert "crf 23 and 32" in version.calibration.fitted_on
    assert "held-out persons" in version.calibration.looks.fitted_on
    record = version.training["calibration"]
    assert "a" in record["groups"]
    assert record["genuine_flagged"].startswith("0 of")  # few people: the threshold lies above them all

    options = ["--compare", "--no-robustness", "--crops", "8", "--resamples", "20", "--kind", "swap"]
    done = run.invoke(
        app,
        ["evaluate", str(checkpoint), str(better), "--data", str(data), "--out", "report", *options, *SMALL],
        catch_exceptions=False,
    )
    assert done.exit_code == 0, done.output
    first, second = json.loads(Path("report/results.json").read_text())
    assert (first["checkpoint"]["id"], second["checkpoint"]["id"]) == (
        read_model_version(checkpoint).id,
        version.id,
    )
    names = {
        clip["name"].split("-")[0].split("@")[0] for clip in second["clips"] if "whole" not in clip["name"]
    }
    assert not names & set(record["groups"])
    assert [clip["raw"] for clip in first["clips"]] == [clip["raw"] for clip in second["clips"]]
    assert second["threshold"] == version.suspect_threshold
    assert sum(second["genuine_flagged"]["crf 23"]["all"][1:]) == 4
    assert second["circumstances"]["data"]["videos"]["training"] == ["b", "c"]
    assert (Path("report/report.html").stat().st_size) > 50_000


def test_labelled_media_are_evaluated_as_they_are_and_under_each_condition(
    data: Path, checkpoint: Path, tmp_path: Path, run: CliRunner
) -> None:
    folder = tmp_path / "set"
    for label in ("real", "fake"):
        (folder / label).mkdir(parents=True)
        (folder / label / "a.mp4").write_bytes((data / "videos" / "a.mp4").read_bytes())
    (folder / "fake" / "broken.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(64))
    options = ["--split", "all", "--frames", "8", "--resamples", "0", "--out", "report"]
    done = run.invoke(
        app,
        ["evaluate", str(checkpoint), "--labelled", str(folder), *options, "--results", "a.json"],
        catch_exceptions=False,
    )
    assert done.exit_code == 0, done.output
    results = json.loads(Path("a.json").read_text())
    pooled = results["tables"]["pooled"][0]
    assert (pooled["genuine"], pooled["fake"]) == (1, 1)
    assert pooled["metrics"]["auc"][0] == 0.5  # the same clip on both sides
    assert {row["name"] for row in results["tables"]["robustness"]} >= {"crf 40", "screenshot"}
    assert sum(results["unscored"].values()) == 1
    assert (folder / "real" / "a.mp4").exists()  # the user's own files are never deleted


def test_a_folder_without_labels_is_refused(checkpoint: Path, tmp_path: Path, run: CliRunner) -> None:
    with pytest.raises(SettingsError, match="labelled media"):
        run.invoke(app, ["evaluate", str(checkpoint), "--labelled", str(tmp_path)], catch_exceptions=False)
