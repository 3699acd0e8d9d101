"""A short forgery in a long video, through the real decoder, with models whose answers are known."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.model_version import Calibration, Looks, ModelVersion
from core.outcomes import Verdict
from core.settings import Settings
from models.face import Box, Face, Image
from tests.media import Media, picture
from worker.screening.pipeline import Pipeline
from worker.screening.screened import Screened

HALF = (0.5, 0.5, 0.5)
VERSION = ModelVersion(
    architecture="smallcnn",
    label="test",
    weights_sha256="0" * 64,
    input_size=32,
    mean=HALF,
    std=HALF,
    calibration=Calibration(looks=Looks(centre=-2.0, spread=1.6, repeat=0.4)),
    fake_threshold=0.9,
    suspect_threshold=0.8,
)
WIDTH, HEIGHT, RATE = 192, 128, 4
BOX = Box(x0=60, y0=30, x1=120, y1=90)
GENUINE, FORGED = 196, 214  # gray values of the bright squares; one bin of the tracker's histogram


class OneFace:
    def detect(self, images: Sequence[Image]) -> list[list[Face]]:
        marks = [(78, 54), (102, 54), (90, 66), (81, 78), (99, 78)]
        face = Face(box=BOX, landmarks=np.array(marks, np.float32), probability=0.999)
        return [[face] for _ in images]


class GrayClassifier:
    """Knows the forged face by its gray."""

    version = VERSION

    def answers(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        bright = np.quantile(crops[:, 8:24, 8:24].reshape(len(crops), -1), 0.8, axis=1)
        return np.where(bright > (GENUINE + FORGED) / 2, 4.0, -2.5).astype(np.float32)[:, None]


def person(value: int) -> object:
    def draw(number: int, width: int, height: int) -> NDArray[np.uint8]:
        image = picture(number, width, height)
        rows, columns = np.mgrid[:60, :60]
        image[30:90, 60:120] = (((rows // 10 + columns // 10) % 2) * (value - 132) + 132)[..., None]
        return image

    return draw


@pytest.fixture
def clips(media: Media) -> tuple[Path, Path]:
    made = [
        media.video(
            f"{value}.mp4",
            frames=5 * RATE,
            rate=RATE,
            size=(WIDTH, HEIGHT),
            options={"crf": "8", "g": "8"},
            draw=person(value),  # type: ignore[arg-type]
        )
        for value in (GENUINE, FORGED)
    ]
    return made[0], made[1]


def screen(settings: Settings, path: Path) -> Screened:
    quality = settings.quality.model_copy(update={"min_sharpness": 0.0})
    eased = settings.model_copy(update={"quality": quality})
    return Pipeline(eased, OneFace(), GrayClassifier()).screen(path)  # type: ignore[arg-type]


def test_twenty_seconds_in_ten_minutes_are_found_where_they_are(
    settings: Settings, media: Media, clips: tuple[Path, Path]
) -> None:
    genuine, forged = clips
    path = media.spliced("mixed.ts", (genuine, 300), (forged, 20), (genuine, 300))
    screened = screen(settings, path)
    assert screened.report.taken == 310
    assert screened.report.longest_unseen_seconds <= 3.1
    (track,) = screened.tracks
    assert screened.video.verdict is Verdict.SUSPECT or screened.video.verdict is Verdict.FAKE
    ((start, end),) = track.flagged_ranges
    assert 300 <= start < 303
    assert 317 < end <= 320
    assert screened.evidence
    assert all(300 <= screened.faces[one.face].time_seconds <= 320 for one in screened.evidence)


def test_a_fake_clip_in_a_loop_scores_as_the_clip(
    settings: Settings, media: Media, clips: tuple[Path, Path]
) -> None:
    _, forged = clips
    once, looped = screen(settings, forged), screen(settings, media.spliced("loop.ts", (forged, 700)))
    assert looped.report.taken == 350
    assert len(looped.tracks) == 1
    assert looped.video.score == pytest.approx(once.video.score, abs=0.01)
    (part,) = looped.tracks[0].flagged_ranges
    assert tuple(part) == (pytest.approx(0, abs=3), pytest.approx(700, abs=3))


def test_a_genuine_clip_in_a_loop_stays_clear(
    settings: Settings, media: Media, clips: tuple[Path, Path]
) -> None:
    genuine, _ = clips
    screened = screen(settings, media.spliced("loop.ts", (genuine, 700)))
    assert (screened.video.verdict, screened.tracks[0].flagged_ranges) == (Verdict.CLEAR, [])


def test_many_samples_far_apart_are_one_track(
    settings: Settings, media: Media, clips: tuple[Path, Path]
) -> None:
    """As with the 64 samples that a video of any length once had."""
    genuine, _ = clips
    few = settings.sampling.model_copy(update={"max_frames": 20})
    screened = screen(settings.model_copy(update={"sampling": few}), media.spliced("loop.ts", (genuine, 700)))
    assert [track.usable_frames for track in screened.tracks] == [20]
    assert screened.report.longest_unseen_seconds > 30
