"""Scores of a face over a rolling window, and its alerts, from logits that are known."""

from dataclasses import replace

import numpy as np
import pytest

from core.outcomes import Verdict
from core.settings import Settings
from models.face import Box, Face
from tests.unit.worker.screening.test_pipeline import VERSION
from worker.decoder.reader import Frame
from worker.screening.evidence import Candidate
from worker.screening.quality import Quality
from worker.streams.incidents import Incident
from worker.streams.scoring import StreamScores

RNG = np.random.default_rng(0)
LOOKS = {name: RNG.integers(0, 256, (32, 32, 3)).astype(np.uint8) for name in ("left", "right")}
PLACES = {"left": 10.0, "right": 200.0}
BLANK = np.zeros((96, 320, 3), np.uint8)


def candidate(name: str, logit: float | None) -> Candidate:
    x = PLACES[name]
    face = Face(
        box=Box(x0=x, y0=10, x1=x + 60, y1=70), landmarks=np.zeros((5, 2), np.float32), probability=0.99
    )
    return Candidate(
        frame=0,
        time=0.0,
        stream=0,
        frame_size=(320, 96),
        face=face,
        quality=Quality(sharpness=100, yaw=0, roll=0, rejection=None),
        crop=LOOKS[name],
        logit=logit,
    )


def frame(time: float) -> Frame:
    return Frame(index=0, time_seconds=time, keyframe=True, damaged=False, image=BLANK)


def fed(scores: StreamScores, seconds: range, **logits: float) -> list[Incident]:
    """Two frames a second with these faces."""
    told = []
    for half in range(2 * seconds.start, 2 * seconds.stop):
        faces = [candidate(name, logit) for name, logit in logits.items()]
        told += scores.add(frame(half / 2), faces)
    return told


@pytest.fixture
def scores(settings: Settings) -> StreamScores:
    return StreamScores(VERSION, settings)


def test_a_swap_in_the_middle_is_told_in_time_with_its_range(scores: StreamScores) -> None:
    assert fed(scores, range(60), left=-3.0) == []
    assert scores.verdict is Verdict.CLEAR
    (raised,) = fed(scores, range(60, 80), left=3.0)
    assert raised.raised_seconds is not None
    assert raised.raised_seconds - 60 <= 10
    assert (raised.start_seconds, raised.track, len(raised.moments)) == (60.0, 0, 3)
    (over,) = fed(scores, range(80, 140), left=-3.0)
    assert over is raised
    assert (over.start_seconds, over.end_seconds) == (60.0, 79.5)
    assert scores.verdict is Verdict.CLEAR


def test_each_face_has_a_score_of_its_own(scores: StreamScores) -> None:
    (raised,) = fed(scores, range(30), left=-3.0, right=3.0)
    tracks = {track.number: track for track in scores.tracks}
    assert raised.track == 1
    assert [(round(track.score or 0, 2), track.supported) for track in tracks.values()] == [
        (0.05, True),
        (0.95, True),
    ]


def test_what_the_window_has_left_behind_is_folded_away(scores: StreamScores) -> None:
    fed(scores, range(1000), left=-3.0)
    fed(scores, range(1000, 1002), right=-3.0)
    assert [(track.number, track.start_seconds) for track in scores.tracks] == [(0, 0.0), (1, 1000.0)]
    fed(scores, range(1002, 1040), right=-3.0)
    assert [track.number for track in scores.tracks] == [1]
    assert sum(len(track.looks) for track in scores._tracks.values()) <= 2 * 30 + 1
    assert len(scores._tracker.tracks) == 1


def test_a_face_that_goes_ends_its_incident(scores: StreamScores) -> None:
    told = fed(scores, range(20), left=3.0)
    told += fed(scores, range(20, 60))
    assert [(each.start_seconds, each.end_seconds, each.over) for each in told] == [(0.0, 19.5, True)] * 2
    assert told[0] is told[1]
    assert scores.finish() == []


def test_a_face_that_could_not_be_classified_gives_no_score(scores: StreamScores) -> None:
    for time in range(20):
        assert scores.add(frame(time), [candidate("left", None)]) == []
    assert [(track.score, track.supported) for track in scores.tracks] == [(None, False)]


@pytest.mark.parametrize(("alert_from", "alerts"), [("suspect", 1), ("fake", 0)])
def test_whether_suspect_faces_are_told_is_a_setting(
    settings: Settings, alert_from: str, alerts: int
) -> None:
    streams = settings.streams.model_copy(update={"alert_from": alert_from})
    settings = settings.model_copy(update={"streams": streams})
    strict = replace(VERSION, suspect_threshold=0.9, fake_threshold=0.99)
    assert len(fed(StreamScores(strict, settings), range(20), left=3.0)) == alerts
