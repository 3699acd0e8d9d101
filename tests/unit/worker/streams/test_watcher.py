"""Several streams on one set of models, served over HTTP, decoded for real, judged by known models."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.settings import Settings
from tests.hls import HlsServer, hls_server, moving, numbered, playlist, watched
from tests.unit.worker.screening.test_pipeline import (
    HEIGHT,
    LEFT,
    WIDTH,
    BrightnessClassifier,
    KnownDetector,
    face,
    two_faces,
)
from tests.waiting import until
from worker.streams.feed import FeedState
from worker.streams.opening import open_feed
from worker.streams.watcher import FRAMES_IN_TURN, News, Watcher

SECONDS, RATE, PER_SEGMENT = 24, 4, 4
FORGED = range(8, 16)  # seconds in which the face on the left is bright


def forged_between(number: int, width: int, height: int) -> NDArray[np.uint8]:
    image = two_faces(number, width, height)
    if number // RATE not in FORGED:
        image[16:] //= 3
    return image


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HlsServer]:
    folder = tmp_path_factory.mktemp("stream")
    parts = numbered(
        folder,
        seconds=SECONDS,
        rate=RATE,
        per_segment=PER_SEGMENT,
        size=(WIDTH, HEIGHT),
        draw=forged_between,
    )
    assert len(parts) == SECONDS // PER_SEGMENT
    with hls_server() as server:
        server.answers |= {f"/{number}.ts": part for number, part in enumerate(parts)}
        yield server


NAMES = [f"{number}.ts" for number in range(SECONDS // PER_SEGMENT)]


@pytest.fixture
def allowed(settings: Settings, server: HlsServer) -> Settings:
    quality = settings.quality.model_copy(update={"min_sharpness": 0.0})
    return watched(settings.model_copy(update={"quality": quality, "batch_size": 64}), server)


def at_once(seconds: float) -> bool:
    """Does not wait."""
    return seconds < 0


def run(watcher: Watcher, keys: list[int]) -> list[News]:
    """Until all of them are over."""
    told, left = list[News](), set(keys)
    while left:
        for news in watcher.turn():
            told.append(news)
            for each in news.passed:
                if each.segment is not None:
                    each.segment.file.close()
            if news.over:
                left.discard(news.key)
        watcher.wait(0.5)
    return told


def test_streams_take_turns_and_are_classified_together(
    allowed: Settings, server: HlsServer, tmp_path: Path
) -> None:
    server.answers["/live.m3u8"] = playlist(NAMES, seconds=PER_SEGMENT, ended=True)
    classifier = BrightnessClassifier()
    watcher = Watcher(allowed, KnownDetector(face(LEFT)), classifier)  # type: ignore[arg-type]
    feeds = [open_feed(server.url(), allowed, pause=at_once) for _ in range(2)]
    for key, feed in enumerate(feeds, 1):
        watcher.add(key, feed)
    until(lambda: all(len(feed._items) >= FRAMES_IN_TURN for feed in feeds), "frames of both streams")
    told = run(watcher, [1, 2])
    for key in (1, 2):
        incidents = [each for news in told if news.key == key for each in news.incidents]
        assert len(incidents) == 2  # raised, and over
        assert incidents[0] is incidents[1]
        assert abs(incidents[0].start_seconds - FORGED.start) <= 0.5
        assert abs(incidents[0].end_seconds - FORGED.stop) <= 1.0
        assert incidents[0].raised_seconds is not None
        assert incidents[0].raised_seconds - FORGED.start <= 10
        view = watcher.view(key)
        assert (view.state, view.coverage, view.position_seconds) == (FeedState.ENDED, 1.0, SECONDS)
        assert view.frames == 2 * SECONDS
    assert classifier.batches[0] == 2 * FRAMES_IN_TURN  # the faces of both at once
    assert sum(classifier.batches) == 2 * 2 * SECONDS


def test_a_live_stream_whose_server_restarts_goes_on(allowed: Settings, server: HlsServer) -> None:
    look = moving(NAMES, window=2, seconds=PER_SEGMENT)
    state = {"looks": 0}

    def sometimes() -> bytes | int:
        state["looks"] += 1
        return 503 if state["looks"] in {3, 4} else look()

    server.answers["/live.m3u8"] = sometimes
    watcher = Watcher(allowed, KnownDetector(face(LEFT)), BrightnessClassifier())  # type: ignore[arg-type]
    watcher.add(1, open_feed(server.url(), allowed, pause=at_once))
    incidents = [each for news in run(watcher, [1]) for each in news.incidents]
    view = watcher.view(1)
    assert (view.reconnects, view.state, view.coverage) == (2, FeedState.ENDED, 1.0)
    assert [track.number for track in view.tracks] == [0, 1]  # dark and bright; the outage adds none
    assert len(incidents) == 2


def test_a_stream_that_is_stopped_ends_where_it_is(allowed: Settings, server: HlsServer) -> None:
    server.answers["/live.m3u8"] = playlist(NAMES[:3])
    watcher = Watcher(allowed, KnownDetector(face(LEFT)), BrightnessClassifier())  # type: ignore[arg-type]
    watcher.add(1, open_feed(server.url(), allowed))
    while watcher.view(1).frames < 2:
        for news in watcher.turn():
            for each in news.passed:
                if each.segment is not None:
                    each.segment.file.close()
        watcher.wait(0.5)
    assert watcher.finish(1) == []
    watcher.remove(1)
    assert (1 in watcher, len(watcher), watcher.turn()) == (False, 0, [])
