"""Inputs that went wrong once (FACEWARDEN_DATA/cases), each with its right outcome by the shipped model."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from cli.screening import screen_one
from core.settings import Settings
from worker.screening.loading import load_pipeline
from worker.screening.pipeline import Pipeline

pytestmark = pytest.mark.corpus


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What is right for one file."""

    verdict: str | None = None  # None for a file that cannot be screened
    coverage: float = 1.0
    least_end: float = 0.0  # seconds, at or after which some face is last seen
    turn: int = 0  # degrees clockwise by which it is turned upright
    error: str | None = None  # its code, where it cannot be screened


CLEAR = Outcome(verdict="clear")
EXPECTED = {
    "01_subtitle_movtext.mp4": Outcome(verdict="clear", least_end=3.0),
    "02_avif_grid.avif": CLEAR,
    "03_two_sample_descriptions.mp4": Outcome(verdict="clear", least_end=3.0),
    "README.md": Outcome(error="not_media"),
    "cenc.mp4": Outcome(error="encrypted"),
    "cmaf_gap.mp4": Outcome(verdict="clear", coverage=0.5, least_end=3.0),
    "exifbad_xres_as_text.jpg": CLEAR,
    "exifbad_ycbcr_negative.jpg": CLEAR,
    "lab.tif": CLEAR,
    "lead_junk.ts": Outcome(verdict="clear", least_end=3.5),
    "png_bigtext.png": CLEAR,
    "reschange.webm": CLEAR,
    "sideways9.mp4": Outcome(verdict="clear", turn=270),
    "slow.webp": Outcome(verdict="clear", least_end=9.0),  # ten seconds, one picture in each
    "sw_g1.mp4": Outcome(verdict="fake", least_end=4.0),
}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """The shipped model, loaded once for all of them."""
    home = tmp_path_factory.mktemp("home")
    return load_pipeline(Settings(home=home, backend="openvino", device="cpu", _env_file=None))


def test_every_case_has_an_outcome(corpus: Path) -> None:
    assert {path.name for path in (corpus / "cases").iterdir()} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_case_has_the_outcome_that_is_right(pipeline: Pipeline, corpus: Path, name: str) -> None:
    path = corpus / "cases" / name
    row = screen_one(pipeline, path, None)
    wanted = EXPECTED[name]
    assert (row["error"] and row["error"]["code"], row["verdict"]) == (wanted.error, wanted.verdict)
    if wanted.error is None:
        assert row["turn"] == wanted.turn
        assert row["coverage"] == pytest.approx(wanted.coverage, abs=0.1)
        assert max(track["end_seconds"] for track in row["tracks"]) >= wanted.least_end


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_still_that_lies_is_judged_as_the_upright_one(
    pipeline: Pipeline, corpus: Path, tmp_path: Path, turn: int
) -> None:
    capture = cv2.VideoCapture(str(corpus / "cases" / "sw_g1.mp4"))
    _, frame = capture.read()
    capture.release()
    paths = [tmp_path / "upright.png", tmp_path / "lying.png"]
    cv2.imwrite(str(paths[0]), frame)
    cv2.imwrite(str(paths[1]), np.rot90(frame, turn // 90))
    upright, lying = (screen_one(pipeline, path, None) for path in paths)
    assert (upright["turn"], lying["turn"]) == (0, turn)
    assert lying["verdict"] == upright["verdict"]
    assert lying["score"] == pytest.approx(upright["score"], abs=0.1)
