"""A stream as pieces in order: the interface; `hls` and `rtmp`, beside this, are its implementations.

Stream time is counted from 0 at the first piece that was watched, and runs on through gaps, whatever the
clock of the sender does.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A piece of a stream that can be decoded alone."""

    start_seconds: float  # stream time
    duration_seconds: float  # above 0
    file: BinaryIO  # nameless, in no folder: it is gone once it is closed, also if we are killed
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A part of a stream that nobody will look at."""

    start_seconds: float  # stream time
    duration_seconds: float  # 0 or more; 0 where nobody knows
    reason: str


Piece = Segment | Gap


class Source(Protocol):
    """Where the pieces come from."""

    @property
    def name(self) -> str:
        """What messages call it: its address without the query."""

    @property
    def live(self) -> bool:
        """Whether it goes on by itself, so that a slow reader loses something; known once a piece came."""

    def pieces(self) -> Iterator[Piece]:
        """What comes from now on, until the stream ends or the reader stops.

        Called again after a FetchFailed it goes on where it was, as far as that is still there, with a Gap
        for what is not before the next Segment. Raises UnsafeAddress, FetchFailed, Encrypted, BrokenPlaylist,
        MediaTooLarge.
        """
