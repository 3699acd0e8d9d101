"""`facewarden demo` passes with the shipped checkpoint, and fails, saying why, with one that cries wolf."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from core.settings import SHIPPED_WEIGHTS

ROOT = Path(__file__).resolve().parents[2]


def demo(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", "demo", "--folder", str(folder)],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "200"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def overlays(output: str) -> list[Path]:
    return [
        Path(path) for path in re.findall(r"^    (?:boundaries|heat|positive): (.+)$", output, re.MULTILINE)
    ]


def test_a_model_that_calls_everything_fake_fails_the_demo(tmp_path: Path, checkpoint: Path) -> None:
    ended = demo(
        tmp_path / "demo",
        FACEWARDEN_WEIGHTS=str(checkpoint),
        FACEWARDEN_BACKEND="fp32",
        FACEWARDEN_SAMPLING__MAX_FRAMES="8",
        FACEWARDEN_LIME__SAMPLES="10",
        FACEWARDEN_LIME__STABILITY_SEEDS="1",
        FACEWARDEN_SCORING__FLAGGED_FRAMES="1",
        FACEWARDEN_DATABASE_URL=f"sqlite:///{tmp_path}/real.sqlite",
        FACEWARDEN_OBJECTS=str(tmp_path / "real-objects"),
    )
    assert ended.returncode == 1, ended.stderr
    assert "demo: FAILED, genuine.mp4 is fake" in ended.stdout
    assert "untrained-demo" in ended.stdout
    pictures = overlays(ended.stdout)
    assert pictures
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)
    # The installation's own database and objects are kept out of it.
    assert not (tmp_path / "real.sqlite").exists()
    assert not (tmp_path / "real-objects").exists()


@pytest.mark.skipif(not SHIPPED_WEIGHTS.exists(), reason="the shipped checkpoint is not in this tree")
def test_the_shipped_model_passes_the_demo(tmp_path: Path) -> None:
    # One explained frame and a third of the samples show what all would; those cost minutes where it is slow.
    ended = demo(
        tmp_path / "demo",
        FACEWARDEN_SCORING__FLAGGED_FRAMES="1",
        FACEWARDEN_LIME__SAMPLES="100",
        FACEWARDEN_LIME__STABILITY_SEEDS="1",
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.splitlines()[-1].startswith("demo: passed")
    assert len(overlays(ended.stdout)) >= 4  # three of LIME and one of Grad-CAM
