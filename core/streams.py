"""Live streams as values that worker, database and pages share.

The words of `StreamStatus` are stored; renaming a member's value needs a migration.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class StreamStatus(StrEnum):
    WAITING = "waiting"  # for a worker
    WATCHING = "watching"  # a worker has it
    ENDED = "ended"  # its server said that it is over
    STOPPED = "stopped"  # somebody stopped it
    FAILED = "failed"  # it cannot be watched: see its error

    @property
    def over(self) -> bool:
        return self in (StreamStatus.ENDED, StreamStatus.STOPPED, StreamStatus.FAILED)


@dataclass(frozen=True, kw_only=True)
class TrackNow:
    """A face of the rolling window."""

    number: int  # of the track; through one worker's watching
    start_seconds: float  # when it was first seen, stream time
    end_seconds: float  # and last
    score: float | None  # calibrated, [0, 1]; None without usable frames
    supported: bool  # enough usable frames to count
    peak_score: float  # the highest while it was supported


@dataclass(frozen=True, kw_only=True)
class Point:
    """The highest score of a moment."""

    seconds: float  # stream time
    score: float | None  # [0, 1]; None where no face could be scored
    unseen: bool  # nothing or not all was seen since the point before


@dataclass(frozen=True, kw_only=True)
class StreamNow:
    """How a stream is, as its worker last said."""

    state: str  # connecting, live, reconnecting, ended, failed
    trouble: str | None = None  # what it tries to get over
    coverage: float  # of the time that this worker watched, the share that was seen, [0, 1]
    delay_seconds: float  # of it, waiting to be decoded
    reconnects: int
    frames: int  # looked at
    verdict: str | None  # of the window; None before the first frame
    tracks: list[TrackNow] = field(default_factory=list)  # of the window
    points: list[Point] = field(default_factory=list)  # of the last minutes, by time
