"""From pieces to frames in stream time, with a real decoder and a source whose pieces are known."""

import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from core.errors import Encrypted, FetchFailed, NotMedia
from core.settings import Settings
from tests.hls import numbered
from tests.media import number_in
from worker.streams.feed import MOST_UNREADABLE, Feed, FeedState, Item, LiveFrame, Passed
from worker.streams.source import Gap, Piece, Segment

RATE, SECONDS = 10, 2  # frames per second, and seconds of a segment


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Three segments of two seconds."""
    return numbered(tmp_path_factory.mktemp("parts"), seconds=6, rate=RATE, per_segment=SECONDS)


class Script:
    """A source that does what it is told: pieces, and errors between them."""

    name, live = "script", False

    def __init__(self, *acts: Piece | Exception) -> None:
        self.acts = list(acts)

    def pieces(self) -> Iterator[Piece]:
        while self.acts:
            act = self.acts.pop(0)
            if isinstance(act, Exception):
                raise act
            yield act


def segment(content: bytes, number: int) -> Segment:
    file = tempfile.TemporaryFile()  # noqa: SIM115  the feed's receiver closes it
    file.write(content)
    file.flush()
    return Segment(
        start_seconds=float(SECONDS * number), duration_seconds=SECONDS, file=file, size_bytes=len(content)
    )


class Away:
    """Waits by a clock that nobody has to wait for."""

    def __init__(self) -> None:
        self.now, self.pauses = 0.0, list[float]()

    def pause(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        self.now += seconds
        return False


def feed(settings: Settings, source: Script, away: Away | None = None) -> Feed:
    away = away or Away()
    return Feed(source, settings, stopping=threading.Event(), clock=lambda: away.now, pause=away.pause)


def everything(one: Feed) -> list[Item]:
    """All that comes, until it is over."""
    bell, items = threading.Event(), list[Item]()
    one.start(bell)
    while not one.state.over:
        bell.wait(1.0)
        bell.clear()
        items += one.take(3)
    for item in items:
        if isinstance(item, Passed) and item.segment is not None:
            item.segment.file.close()
    return items


def frames(items: Sequence[Item]) -> list[tuple[float, int]]:
    """Times and numbers of the frames."""
    return [
        (round(item.frame.time_seconds, 2), number_in(item.frame.image))
        for item in items
        if isinstance(item, LiveFrame)
    ]


def test_frames_come_in_stream_time_across_segments_and_gaps(settings: Settings, parts: list[bytes]) -> None:
    gap = Gap(start_seconds=2.0, duration_seconds=2.0, reason="lost")
    source = Script(segment(parts[0], 0), gap, segment(parts[2], 2))
    one = feed(settings, source)
    items = everything(one)
    assert one.state is FeedState.ENDED
    seen = frames(items)
    assert len(seen) == 8  # two a second
    assert all(number == round(time * RATE) for time, number in seen)
    assert seen[0][0] == 0.0
    assert {time // 2 for time, _ in seen} == {0, 2}
    passed = [item for item in items if isinstance(item, Passed)]
    assert [(each.start_seconds, each.seen_seconds, each.reason) for each in passed] == [
        (0.0, 2.0, ""),
        (2.0, 0.0, "lost"),
        (4.0, 2.0, ""),
    ]


def test_it_reconnects_with_growing_pauses_and_goes_on(settings: Settings, parts: list[bytes]) -> None:
    failures = [FetchFailed(name="script", reason="away") for _ in range(4)]
    away = Away()
    one = feed(settings, Script(segment(parts[0], 0), *failures, segment(parts[1], 1)), away)
    assert len(frames(everything(one))) == 8
    assert (one.state, one.reconnects, one.error) == (FeedState.ENDED, 4, None)
    bounds = [(0.5, 1.0), (1.0, 2.0), (2.0, 4.0), (4.0, 8.0)]
    assert all(low <= pause <= high for (low, high), pause in zip(bounds, away.pauses, strict=True))


def test_it_gives_up_after_a_while_with_the_reason(settings: Settings, parts: list[bytes]) -> None:
    failures = [FetchFailed(name="script", reason="away") for _ in range(50)]
    one = feed(settings, Script(segment(parts[0], 0), *failures))
    assert len(frames(everything(one))) == 4
    assert one.state is FeedState.FAILED
    assert "away" in str(one.error)
    assert 300 / 30 < one.reconnects < 30


def test_a_server_that_only_says_what_is_missing_is_given_up_as_well(
    settings: Settings, parts: list[bytes]
) -> None:
    acts: list[Piece | Exception] = [segment(parts[0], 0)]
    for number in range(50):
        gap = Gap(start_seconds=2.0 + number, duration_seconds=1.0, reason="gone")
        acts += [gap, FetchFailed(name="script", reason="away")]
    one = feed(settings, Script(*acts))
    assert len(frames(everything(one))) == 4
    assert one.state is FeedState.FAILED
    assert one.reconnects < 30


@pytest.mark.parametrize(
    "refusal", [FetchFailed(name="script", reason="no"), Encrypted(name="script", scheme="AES-128")]
)
def test_what_was_never_there_or_is_refused_fails_at_once(settings: Settings, refusal: Exception) -> None:
    one = feed(settings, Script(refusal))
    assert everything(one) == []
    assert (one.state, one.error, one.reconnects) == (FeedState.FAILED, refusal, 0)


def test_a_damaged_segment_is_a_gap_and_the_stream_goes_on(settings: Settings, parts: list[bytes]) -> None:
    one = feed(settings, Script(segment(parts[0], 0), segment(b"no media", 1), segment(parts[2], 2)))
    items = everything(one)
    assert len(frames(items)) == 8
    (bad,) = [item for item in items if isinstance(item, Passed) and item.seen_seconds == 0]
    assert "is not a video or image" in bad.reason


def test_what_never_gives_a_frame_is_no_stream(settings: Settings) -> None:
    one = feed(settings, Script(*[segment(b"no media", number) for number in range(MOST_UNREADABLE + 3)]))
    everything(one)
    assert one.state is FeedState.FAILED
    assert isinstance(one.error, NotMedia)


def test_a_stopped_feed_holds_nothing_back(settings: Settings, parts: list[bytes], tmp_path: Path) -> None:
    given = [segment(part, number) for number, part in enumerate([*parts, *parts, *parts])]
    source = Script(*given)
    one = feed(settings, source)
    bell = threading.Event()
    one.start(bell)
    bell.wait(30)
    one.stop()
    while not one.state.over:
        bell.wait(0.1)
    assert one.state is FeedState.ENDED
    assert one.take(100) == []
    for each in given[len(given) - len(source.acts) :]:
        each.file.close()
    assert all(each.file.closed for each in given)
