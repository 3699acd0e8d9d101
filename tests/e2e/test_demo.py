"""`facewarden demo` passes with the shipped checkpoint, and leaves the installation's own data alone."""

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


@pytest.mark.skipif(not SHIPPED_WEIGHTS.exists(), reason="the shipped checkpoint is not in this tree")
def test_the_shipped_model_passes_the_demo(tmp_path: Path) -> None:
    # One explained frame and a third of the samples show what all would; those cost minutes where it is slow.
    ended = demo(
        tmp_path / "demo",
        FACEWARDEN_BACKEND="openvino",
        FACEWARDEN_SCORING__FLAGGED_FRAMES="1",
        FACEWARDEN_LIME__SAMPLES="100",
        FACEWARDEN_LIME__STABILITY_SEEDS="1",
        FACEWARDEN_DATABASE_URL=f"sqlite:///{tmp_path}/real.sqlite",
        FACEWARDEN_OBJECTS=str(tmp_path / "real-objects"),
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.splitlines()[-1].startswith("demo: passed")
    pictures = overlays(ended.stdout)
    assert len(pictures) >= 4  # three of LIME and one of Grad-CAM
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)
    assert not (tmp_path / "real.sqlite").exists()
    assert not (tmp_path / "real-objects").exists()
