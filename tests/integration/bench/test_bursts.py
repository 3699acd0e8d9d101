"""The experiment on neighbouring frames from end to end: real decoding and detection, a tiny network."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.data import astronaut

from bench.bursts import __main__ as command
from bench.bursts.recording import Recorder
from tests.media import Media

FRAMES, SIZE = 14, (160, 160)
METHODS = ("swapper", "talker")


def moving(step: int) -> Callable[[int, int, int], NDArray[np.uint8]]:
    """The astronaut's head, `step` pixels further right in each frame."""
    photograph = astronaut()

    def draw(number: int, width: int, height: int) -> NDArray[np.uint8]:
        left = 95 - number * step
        return np.asarray(cv2.resize(photograph[0:230, left : left + 230], (width, height)), np.uint8)

    return draw


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two methods with a clip each, three originals; one clip without a face."""
    (tmp_path / "manipulated" / "videos").mkdir(parents=True)
    (tmp_path / "videos").mkdir()
    media = Media(tmp_path / "manipulated" / "videos")
    rows = []
    clips = [*METHODS, "genuine", "genuine"]
    for number, method in enumerate(clips):
        media.video(f"clip-{number}.mp4", frames=FRAMES, size=SIZE, draw=moving(number % 3))
        label = "genuine" if method == "genuine" else "fake"
        path = f"videos/clip-{number}.mp4"
        rows.append({"path": path, "label": label, "method": method, "group": f"group-{number}"})
    (tmp_path / "manipulated" / "manipulated.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows)
    )
    films = Media(tmp_path / "videos")
    films.video("film.mp4", frames=FRAMES, size=SIZE, draw=moving(2))
    films.video("empty.mp4", frames=FRAMES, size=SIZE)
    held = [row | {"path": f"manipulated/{row['path']}"} for row in rows]
    (tmp_path / "sides.jsonl").write_text("".join(json.dumps(row) + "\n" for row in held))
    return tmp_path


def run(data: Path, checkpoint: Path) -> dict[str, object]:
    given = ["--data", str(data), "--held-out", str(data / "sides.jsonl"), "--weights", str(checkpoint)]
    given += ["--out", str(data / "bursts.json"), "--cache", str(data / "cache"), "--resamples", "50"]
    command.main([*given, "--places", "2", "--frames", "4"])
    report: dict[str, object] = json.loads((data / "bursts.json").read_text())
    return report


def test_clips_are_recorded_compared_and_not_recorded_again(
    data: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data)
    report = run(data, checkpoint)
    assert report["left out"] == {"empty": "the worker gives it no score"}
    sets = report["sets"]
    assert isinstance(sets, dict)
    assert (sets["all clips"]["fake"], sets["all clips"]["genuine"]) == (2, 3)
    # The film is not in the manifest.
    assert sets["clips never trained on"]["genuine"] == 2
    assert set(sets["all clips"]["AUC by method"]) == set(METHODS)
    assert all(0 <= auc <= 1 for auc in sets["all clips"]["AUC"].values())
    clips = report["clips"]
    assert isinstance(clips, list)
    still, quick = ({each["name"]: each["bursts"] for each in clips}[name] for name in ("clip-0", "film"))
    assert still["change of the embedding"] < quick["change of the embedding"]

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a clip was read twice")

    monkeypatch.setattr(Recorder, "_read", refuse)
    assert run(data, checkpoint) == report
