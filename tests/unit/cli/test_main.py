"""The command itself: quick help, one line per expected error, exit codes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def facewarden(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", *words],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_loads_no_heavy_library() -> None:
    program = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from cli.main import app\n"
        "print(CliRunner().invoke(app, ['--help']).exit_code)\n"
        "print({'torch', 'cv2', 'sqlalchemy', 'rq', 'av', 'skimage', 'boto3'} & set(sys.modules))\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert shown.stdout.splitlines() == ["0", "set()"]


def test_the_version_is_printed() -> None:
    shown = facewarden("--version")
    assert shown.returncode == 0
    assert shown.stdout.startswith("facewarden 0.")


def test_a_wrong_setting_is_one_line_that_names_it() -> None:
    ended = facewarden("config", FACEWARDEN_BATCH_SIZE="none")
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "FACEWARDEN_BATCH_SIZE" in ended.stderr


def test_debugging_shows_the_traceback() -> None:
    ended = facewarden("config", FACEWARDEN_BATCH_SIZE="none", FACEWARDEN_LOG_LEVEL="debug")
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr


def test_wrong_usage_exits_with_two() -> None:
    assert facewarden("ingest").returncode == 2
    assert facewarden("worker", "--queue", "other").returncode == 2
    assert facewarden("nonsense").returncode == 2


@pytest.mark.slow
def test_a_missing_checkpoint_is_an_error_of_the_whole_command(tmp_path: Path) -> None:
    clip = tmp_path / "a.mp4"
    clip.write_bytes(b"x")
    ended = facewarden("screen", "--weights", str(tmp_path / "none.safetensors"), str(clip))
    assert ended.returncode == 1
    assert "none.safetensors" in ended.stderr
    assert "Traceback" not in ended.stderr
