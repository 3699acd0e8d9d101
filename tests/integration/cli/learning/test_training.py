"""Labelled videos go through the worker's own decoder into the store of crops, and train a network."""

import shutil
from pathlib import Path

import pytest

from cli.learning.training import crop_store, run_training
from core.model_version import read_model_version
from core.settings import Settings
from models.datasets.splits import discover
from models.training.config import TrainConfig


@pytest.fixture
def dataset(face_clip: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    for name in ("real/a", "real/b", "real/c", "fake/swap/d", "fake/swap/e", "fake/swap/f"):
        target = folder / f"{name}.mp4"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(face_clip, target)
    (folder / "real" / "broken.mp4").write_bytes(b"no video at all")
    return folder


def test_a_data_set_of_videos_trains(
    settings: Settings, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = TrainConfig(
        data=dataset,
        out=tmp_path / "out",
        architecture="smallcnn",
        steps=2,
        clips_per_batch=1,
        pairs_per_clip=1,
        start_size=48,
        input_size=48,
        frames_per_video=2,
        validate_every=2,
        loader_processes=0,
    )
    run_training(settings, config)
    assert f"checkpoint: {tmp_path / 'out' / 'smallcnn.safetensors'}" in capsys.readouterr().out
    version = read_model_version(tmp_path / "out" / "smallcnn.safetensors")
    assert version.training["validation"]["validation_loss"] > 0
    faces = crop_store(settings, frames=config.frames_per_video, device=config.device).faces(
        discover(dataset)
    )
    assert {face.media.path.stem for face in faces} == set("abcdef")
    assert len(faces) == 12  # two frames of each, kept from the run
    assert (settings.home / "crops" / "index.jsonl").read_text().count("\n") == 7
