"""One stream on its way to the models: a thread fetches it, another has its pieces decoded in the sandbox.

Both are ahead of whoever takes the frames by no more than a few, so that memory stays flat. A stream that
breaks off is connected to again, after pauses that grow and differ, so that many do not come back at once.
"""

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import structlog

from core.errors import FacewardenError, FetchFailed, InputError, RetryableError
from core.settings import SamplingSettings, Settings
from worker.decoder.reader import Frame, VideoReader
from worker.streams.backlog import Backlog
from worker.streams.source import Gap, Segment, Source

log = structlog.get_logger()

MOST_WAITING = 8  # decoded frames
LONGEST_PAUSE_SECONDS = 30.0  # between two attempts to reconnect
MOST_UNREADABLE = 5  # segments in a row without a frame before any came, after which it is no stream for us
NAMELESS = Path("segment")  # which has no path
WHOLE = 1e9  # seconds: no rate but that of the stream's own setting applies to a segment


class FeedState(StrEnum):
    CONNECTING = "connecting"  # nothing has come yet
    LIVE = "live"  # it comes
    RECONNECTING = "reconnecting"  # it broke off
    ENDED = "ended"  # its server said that it is over, or it was stopped
    FAILED = "failed"  # it cannot be watched: see the error

    @property
    def over(self) -> bool:
        return self in (FeedState.ENDED, FeedState.FAILED)


@dataclass(frozen=True, kw_only=True)
class LiveFrame:
    """A frame to look at; its time is the stream's."""

    frame: Frame


@dataclass(frozen=True, kw_only=True)
class Passed:
    """A segment has been decoded, or a gap has gone by; the frames came before it."""

    start_seconds: float  # stream time
    duration_seconds: float
    seen_seconds: float  # of these, by the share of the frames that came undamaged
    reason: str  # why not all of it was seen; empty where it was
    segment: Segment | None  # the receiver closes its file; None for a gap


Item = LiveFrame | Passed


class Feed:
    """One stream, from its source to decoded frames."""

    def __init__(
        self,
        source: Source,
        settings: Settings,
        *,
        stopping: threading.Event,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], bool] | None = None,
    ) -> None:
        """`stopping` ends it. `pause` takes seconds, and returns whether to stop; tests need not wait."""
        self._source, self._settings, self._stopping, self._clock = source, settings, stopping, clock
        self._pause = pause or stopping.wait
        self._backlog = Backlog(settings.streams.max_delay_seconds)
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._frames = self._unreadable = 0  # frames that came, and segments in a row that gave none
        self._refusal: InputError | None = None  # of the latest such segment
        self._fetching = self._decoding = True
        self._state = FeedState.CONNECTING
        self.error: FacewardenError | None = None  # why it has failed, or what it tries to get over
        self.reconnects = 0

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def state(self) -> FeedState:
        """Over only once everything that came has been taken."""
        with self._changed:
            if self._fetching or self._decoding or self._items:
                return FeedState.LIVE if self._state.over else self._state
            return self._state

    @property
    def delay_seconds(self) -> float:
        """How much of the stream waits to be decoded."""
        return self._backlog.seconds

    def start(self, bell: threading.Event) -> None:
        """Begin; `bell` is set whenever something can be taken, or the state has changed."""
        self._bell = bell
        for name, work in (("fetch", self._fetch), ("decode", self._decode)):
            threading.Thread(target=work, name=f"{name} {self.name}"[:60], daemon=True).start()

    def take(self, most_frames: int) -> list[Item]:
        """What has been decoded meanwhile, in order, with up to so many frames; does not wait."""
        taken: list[Item] = []
        frames = 0
        with self._changed:
            while self._items and frames < most_frames:
                item = self._items.popleft()
                frames += isinstance(item, LiveFrame)
                taken.append(item)
            self._changed.notify_all()
        return taken

    def stop(self) -> None:
        """End both threads soon; what was not taken is dropped."""
        self._stopping.set()
        self._backlog.clear()
        with self._changed:
            for item in self._items:
                if isinstance(item, Passed) and item.segment is not None:
                    item.segment.file.close()
            self._items.clear()
            self._changed.notify_all()

    def _fetch(self) -> None:
        try:
            self._fetch_until_the_end()
        except InputError as error:
            self._end(FeedState.FAILED, error)
        except Exception as error:
            log.exception("a stream failed", stream=self.name)
            self._end(FeedState.FAILED, InputError(name=self.name, reason=type(error).__name__))
        finally:
            self._backlog.close()
            self._fetching = False
            self._bell.set()

    def _fetch_until_the_end(self) -> None:
        limits, away_since, pause = self._settings.streams, None, 0.0
        while not self._stopping.is_set():
            try:
                for piece in self._source.pieces():
                    # A server that only says what is missing has not brought the stream back.
                    if isinstance(piece, Segment):
                        away_since, self.error = None, None
                    if isinstance(piece, Segment) or self._state == FeedState.CONNECTING:
                        self._become(FeedState.LIVE)
                    self._backlog.put(piece, live=self._source.live)
                    if self._stopping.is_set() or self._state.over:
                        break
            except FetchFailed as error:
                if self._state == FeedState.CONNECTING:
                    raise
                now = self._clock()
                if away_since is None:
                    away_since, pause = now, limits.retry_seconds
                if now - away_since >= limits.give_up_seconds:
                    raise
                self.error = error
                self.reconnects += 1
                self._become(FeedState.RECONNECTING)
                self._pause(pause * random.uniform(0.5, 1.0))
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                self._end(FeedState.ENDED, None)
                return
        self._end(FeedState.ENDED, None)

    def _become(self, state: FeedState) -> None:
        if self._state != state and not self._state.over:
            self._state = state
            self._bell.set()

    def _end(self, state: FeedState, error: FacewardenError | None) -> None:
        with self._changed:
            # What is decoded may fail after everything has been fetched.
            if not self._state.over or (state == FeedState.FAILED and not self._stopping.is_set()):
                self._state, self.error = state, error
        self._bell.set()

    def _decode(self) -> None:
        try:
            while (piece := self._backlog.get()) is not None:
                passed = self._missed(piece) if isinstance(piece, Gap) else self._decoded(piece)
                self._hand_over(passed)
            if self._refusal is not None and not self._frames:
                self._end(FeedState.FAILED, self._refusal)
        except FacewardenError as error:
            self._end(FeedState.FAILED, error)
        except Exception as error:
            log.exception("a stream failed", stream=self.name)
            self._end(FeedState.FAILED, InputError(name=self.name, reason=type(error).__name__))
        finally:
            self._backlog.clear()
            self._decoding = False
            self._bell.set()

    @staticmethod
    def _missed(gap: Gap) -> Passed:
        return Passed(
            start_seconds=gap.start_seconds,
            duration_seconds=gap.duration_seconds,
            seen_seconds=0.0,
            reason=gap.reason,
            segment=None,
        )

    def _decoded(self, segment: Segment) -> Passed:
        """Hand over the segment's frames. Raises an InputError if the stream has only such that give none."""
        wanted = max(1, round(segment.duration_seconds * self._settings.streams.frames_per_second))
        good, reason = 0, ""
        if self._stopping.is_set():
            return _passed(segment, 0.0, "it was stopped")
        try:
            sampling = _sampling(wanted, self._settings)
            with VideoReader(
                NAMELESS, self._settings.decode, sampling, name=self.name, opened=segment.file.fileno()
            ) as reader:
                for frame in reader:
                    if frame.stream == 0 and not self._stopping.is_set():
                        good += not frame.damaged
                        self._hand_over(LiveFrame(frame=_placed(frame, self._frames, segment)))
                        self._frames += 1
            reason = "" if good >= wanted else f"{good} of {wanted} frames came undamaged"
        except RetryableError as error:
            log.warning("a segment could not be decoded", stream=self.name, reason=str(error))
            reason = str(error)
        except InputError as error:
            reason, self._refusal = str(error), error
            self._unreadable += 1
            if self._frames == 0 and self._unreadable >= MOST_UNREADABLE:
                segment.file.close()
                raise
        return _passed(segment, min(1.0, good / wanted), reason)

    def _hand_over(self, item: Item) -> None:
        with self._changed:
            if isinstance(item, LiveFrame):
                self._changed.wait_for(lambda: self._stopping.is_set() or len(self._items) < MOST_WAITING)
            if self._stopping.is_set():
                if isinstance(item, Passed) and item.segment is not None:
                    item.segment.file.close()
                return
            self._items.append(item)
        self._bell.set()


def _passed(segment: Segment, seen: float, reason: str) -> Passed:
    """`seen`: the fraction of it, in [0, 1]."""
    return Passed(
        start_seconds=segment.start_seconds,
        duration_seconds=segment.duration_seconds,
        seen_seconds=segment.duration_seconds * seen,
        reason=reason,
        segment=segment,
    )


def _sampling(frames: int, settings: Settings) -> SamplingSettings:
    """So many frames of a segment, whatever it says about its own length."""
    return settings.sampling.model_copy(
        update={
            "frames_per_second": settings.streams.frames_per_second,
            "short_frames": frames,
            "step_seconds": WHOLE,
            "long_step_seconds": WHOLE,
            "max_frames": frames,
            "min_frames": 1,
        }
    )


def _placed(frame: Frame, index: int, segment: Segment) -> Frame:
    """The frame in stream time, within its segment, whatever its own clock says."""
    seconds = min(max(frame.time_seconds, 0.0), segment.duration_seconds)
    return Frame(
        index=index,
        time_seconds=segment.start_seconds + seconds,
        keyframe=frame.keyframe,
        damaged=frame.damaged,
        image=frame.image,
    )
