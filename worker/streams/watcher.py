"""Several streams and one set of models: a few frames of each in turn, all of them classified together."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from core.errors import FacewardenError
from core.settings import Settings
from core.streams import TrackNow
from models.classifier import Classifier
from models.detector import FaceDetector
from worker.decoder.reader import Frame
from worker.screening.evidence import Candidate
from worker.screening.faces import classify, cut_out
from worker.screening.memory import TRIM_EVERY, give_back
from worker.screening.turning import Turner
from worker.streams.feed import Feed, FeedState, LiveFrame, Passed
from worker.streams.incidents import Incident
from worker.streams.scoring import StreamScores

FRAMES_IN_TURN = 4  # of one stream: two seconds of it; more would let the others wait


@dataclass(frozen=True, kw_only=True)
class StreamView:
    """A stream at one moment."""

    state: FeedState
    error: FacewardenError | None  # why it has failed, or what it tries to get over
    position_seconds: float  # stream time up to which it was looked at
    coverage: float  # of the time so far, the share that was seen, [0, 1]
    seen_seconds: float
    delay_seconds: float  # of it, waiting to be decoded
    reconnects: int
    frames: int  # looked at
    verdict: str | None  # of the window
    tracks: list[TrackNow]  # of the window


@dataclass(frozen=True, kw_only=True)
class News:
    """What came of a stream in one turn, in order."""

    key: int  # of the stream
    incidents: list[Incident]  # new, or over
    gaps: list[Passed]  # what was not seen, or not all of it
    passed: list[Passed]  # everything, with its bytes; the receiver closes the files
    over: bool  # nothing more will come


@dataclass(kw_only=True)
class _Watched:
    feed: Feed
    turner: Turner
    scores: StreamScores
    seen_seconds: float = 0.0
    passed_seconds: float = 0.0
    frames: int = 0
    faces: list[tuple[Frame, list[Candidate]]] = field(default_factory=list)  # of this turn


class Watcher:
    """Looks at what the feeds hand over, with models that are loaded once; one thread uses it."""

    def __init__(self, settings: Settings, detector: FaceDetector, classifier: Classifier) -> None:
        self._settings, self._detector, self._classifier = settings, detector, classifier
        self._streams: dict[int, _Watched] = {}
        self._frames = 0
        self.bell = threading.Event()  # set when there may be something to do

    def __contains__(self, key: int) -> bool:
        return key in self._streams

    def __len__(self) -> int:
        return len(self._streams)

    def add(self, key: int, feed: Feed) -> None:
        """Begin to watch a stream."""
        self._streams[key] = _Watched(
            feed=feed,
            turner=Turner(self._detector, self._settings.detection),
            scores=StreamScores(self._classifier.version, self._settings),
        )
        feed.start(self.bell)

    def finish(self, key: int) -> list[Incident]:
        """Stop looking at a stream where it is: its incidents that are now over."""
        watched = self._streams[key]
        watched.feed.stop()
        return watched.scores.finish()

    def remove(self, key: int) -> None:
        """Forget a stream."""
        self._streams.pop(key).feed.stop()

    def view(self, key: int) -> StreamView:
        watched = self._streams[key]
        feed, scores = watched.feed, watched.scores
        return StreamView(
            state=feed.state,
            error=feed.error,
            position_seconds=max(scores.now, watched.passed_seconds),
            coverage=watched.seen_seconds / watched.passed_seconds if watched.passed_seconds else 1.0,
            seen_seconds=watched.seen_seconds,
            delay_seconds=feed.delay_seconds,
            reconnects=feed.reconnects,
            frames=watched.frames,
            verdict=None if scores.verdict is None else scores.verdict.value,
            tracks=scores.tracks,
        )

    def turn(self) -> list[News]:
        """One turn of each stream; what came of it. Does not wait: the list is empty if nothing came."""
        self.bell.clear()
        taken = {key: watched.feed.take(FRAMES_IN_TURN) for key, watched in self._streams.items()}
        fit: list[Candidate] = []
        for key, items in taken.items():
            frames = [item.frame for item in items if isinstance(item, LiveFrame)]
            fit += self._find(self._streams[key], frames)
        for start in range(0, len(fit), self._settings.batch_size):
            classify(fit[start : start + self._settings.batch_size], self._classifier)
        news = []
        for key, items in taken.items():
            watched = self._streams[key]
            passed = [item for item in items if isinstance(item, Passed)]
            incidents = [each for frame, faces in watched.faces for each in watched.scores.add(frame, faces)]
            over = not items and watched.feed.state.over
            if items or over:
                news.append(_news(key, watched, passed, incidents, over=over))
        return news

    def wait(self, seconds: float) -> None:
        """Until something can be taken, at most so long."""
        self.bell.wait(seconds)

    def _find(self, watched: _Watched, frames: list[Frame]) -> list[Candidate]:
        """The faces of a stream's frames; returns those that are fit to be classified."""
        watched.faces = []
        if not frames:
            return []
        version, quality = self._classifier.version, self._settings.quality
        found = watched.turner.find([frame.image for frame in frames])
        watched.faces = [
            (frame, cut_out(frame, faces, version, quality))
            for frame, faces in zip(frames, found, strict=True)
        ]
        watched.frames += len(frames)
        before, self._frames = self._frames, self._frames + len(frames)
        if before // TRIM_EVERY != self._frames // TRIM_EVERY:
            give_back()
        return list(_fit(watched))


def _fit(watched: _Watched) -> Iterator[Candidate]:
    for _, faces in watched.faces:
        for one in faces:
            if one.quality.rejection is None:
                yield one


def _news(
    key: int, watched: _Watched, passed: list[Passed], incidents: list[Incident], *, over: bool
) -> News:
    for each in passed:
        watched.passed_seconds = max(watched.passed_seconds, each.start_seconds + each.duration_seconds)
        watched.seen_seconds += each.seen_seconds
    if over:
        incidents = incidents + watched.scores.finish()
    return News(
        key=key,
        incidents=incidents,
        gaps=[each for each in passed if each.reason],
        passed=passed,
        over=over,
    )
