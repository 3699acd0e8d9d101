"""`facewarden screen`: once in a process of its own, as scripts call it, else in this one."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from cli.main import app
from tests.media import Media

ROOT = Path(__file__).resolve().parents[3]
Screen = Callable[..., Result]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "FACEWARDEN_HOME": str(tmp_path / "home"),
        "FACEWARDEN_BACKEND": "fp32",
        "FACEWARDEN_SAMPLING__MAX_FRAMES": "6",
        "FACEWARDEN_LIME__SAMPLES": "10",
        "COLUMNS": "300",
    }


@pytest.fixture
def screen(checkpoint: Path, environment: dict[str, str]) -> Screen:
    def run(*words: object, **settings: str) -> Result:
        command = ["screen", "--weights", str(checkpoint), *map(str, words)]
        return CliRunner().invoke(app, command, env=environment | settings)

    return run


def test_one_object_a_line_and_a_bad_file_stops_nothing(
    checkpoint: Path, environment: dict[str, str], tmp_path: Path, face_clip: Path
) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a film")
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    missing = tmp_path / "missing.mp4"
    options = ["--weights", checkpoint, "--json", "--overlays", tmp_path / "why"]
    ended = subprocess.run(
        [sys.executable, "-m", "cli", "screen", *map(str, [*options, missing, pipe, text, face_clip])],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 3, ended.stderr
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [row["path"] for row in rows] == [str(path) for path in (missing, pipe, text, face_clip)]
    assert rows[0]["error"]["code"] == "file_vanished"
    assert all(row["verdict"] is None and row["score"] is None and row["error"] for row in rows[:3])
    whole = rows[3]
    assert whole["error"] is None
    assert whole["sha256"] == hashlib.sha256(face_clip.read_bytes()).hexdigest()
    assert whole["verdict"] == "fake"
    assert 0 <= whole["score"] <= 1
    assert (whole["family"], whole["family_probability"]) == (None, None)  # this checkpoint tells none
    assert (whole["coverage"], whole["partial"]) == (1.0, False)
    assert whole["model_label"] == "untrained-demo"
    assert {"decode", "detect", "crop", "classify", "track", "aggregate", "total"} <= set(
        whole["timings_seconds"]
    )
    track = max(whole["tracks"], key=lambda each: each["frames"])
    assert track["frames"] == 6  # her face; the detector may see another in the background now and then
    assert 0 <= track["start_seconds"] < track["end_seconds"] <= 5
    pictures = [Path(path) for frame in whole["flagged_frames"] for path in frame["overlays"].values()]
    assert pictures
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)


def test_a_file_that_is_cut_off_is_partial(screen: Screen, face_clip: Path, tmp_path: Path) -> None:
    half = Media(tmp_path).remux(face_clip, "half.mkv")
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    row = json.loads(screen("--json", half).stdout)
    assert row["partial"]
    assert row["coverage"] < 0.8


def test_the_table_names_the_model_and_flagged_files_fail_on_request(screen: Screen, face_clip: Path) -> None:
    ended = screen("--fail-on-flagged", face_clip)
    assert ended.exit_code == 10, ended.stderr
    assert "untrained-demo" in ended.stdout
    assert "fake" in ended.stdout


def test_faces_that_cannot_be_judged_are_no_all_clear(screen: Screen, face_clip: Path) -> None:
    small = {"FACEWARDEN_QUALITY__MIN_PIXELS": "4000"}
    ended = screen("--json", "--fail-on-flagged", face_clip, **small)
    assert ended.exit_code == 11, ended.stderr
    row = json.loads(ended.stdout)
    assert (row["verdict"], row["score"], row["coverage"]) == ("unjudged", None, 1.0)
    assert row["rejected_faces"]["small"] >= 6
    ended = screen(face_clip, **small)
    assert ended.exit_code == 0, ended.stderr
    assert "unjudged" in ended.stdout
    assert f"{row['rejected_faces']['small']} too small" in ended.stdout
