"""`facewarden pack` puts pictures and videos into one file, and the GPU's command trains on it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image as Pictures
from skimage.data import astronaut
from typer.testing import CliRunner

from cli.main import app
from core.errors import SettingsError
from core.model_version import read_model_version
from models.training.gpu.__main__ import main
from models.training.gpu.pack import read_pack

SMALL = ("--arch", "smallcnn", "--steps", "1", "--pairs", "2", "--input-size", "32", "--device", "cpu")


@pytest.fixture
def dataset(face_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A manifest of pictures of two corpora and of a video."""
    monkeypatch.setenv("FACEWARDEN_HOME", str(tmp_path / "home"))
    folder, rows = tmp_path / "set", []
    for number in range(8):
        for label in ("genuine", "fake"):
            path = folder / "portraits" / label / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            light = 0.6 + number / 20 + (label == "fake") / 100
            Pictures.fromarray((astronaut()[:224, 110:334] * light).astype(np.uint8)).save(path)
            source = "FaceForensics++ c40" if number == 0 else "portraits"
            names = {"group": f"g{number}", "source": source, "method": "blend", "family": "swap"}
            rows.append({"path": str(path.relative_to(folder)), "label": label, **names})
    (folder / "clips").mkdir()
    shutil.copy(face_clip, folder / "clips" / "a.mp4")
    rows.append({"path": "clips/a.mp4", "label": "genuine", "group": "a", "corpus": "films"})
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    """The command, which finds itself in `sys.argv` as it does in a shell."""
    monkeypatch.setattr("sys.argv", ["facewarden", *words])
    return CliRunner().invoke(app, words, catch_exceptions=False)


def test_a_data_set_becomes_a_pack_and_a_run_a_checkpoint(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "films.safetensors"
    options = ["--data", str(dataset), "--out", str(out), "--frames", "2", "--test-source", "FaceForensics"]
    done = run(monkeypatch, "pack", *options)
    assert done.exit_code == 0, done.output
    assert "portraits" in done.output
    assert "left out for" not in done.output
    faces = read_pack(out).faces
    assert len(faces) == 18
    assert {face.side for face in faces if face.source.startswith("FaceForensics")} == {"test"}
    assert {face.side for face in faces} == {"train", "test"}
    assert {face.corpus: face.clip for face in faces if face.source == "set"} == {"films": "clips/a.mp4"}
    small = run(monkeypatch, "pack", *options, "--megabytes", "0.1")
    assert "left out for lack of room" in small.output
    assert out.stat().st_size < 110_000
    assert main([str(out), "--out", str(tmp_path / "gpu"), *SMALL]) == 0
    made = tmp_path / "made.safetensors"
    exported = run(monkeypatch, "export-gpu", str(tmp_path / "gpu"), "--out", str(made), "--label", "x")
    assert exported.exit_code == 0, exported.output
    version = read_model_version(made)
    assert version.label == "x"
    first, second, third = version.training["commands"]
    assert first.startswith("facewarden pack --data set --out films.safetensors")
    assert second.startswith("python -m models.training.gpu films.safetensors --out gpu")
    assert third == "facewarden export-gpu gpu --out made.safetensors --label x"


def test_a_source_that_nothing_has_is_refused(dataset: Path, tmp_path: Path) -> None:
    options = ["--data", str(dataset), "--out", str(tmp_path / "x"), "--test-source", "Celeb"]
    with pytest.raises(SettingsError, match=r"'Celeb'.*FaceForensics\+\+ c40, portraits, set"):
        CliRunner().invoke(app, ["pack", *options], catch_exceptions=False)
