"""Known content as values: hashes of frames, and what was found to look like what."""

from dataclasses import dataclass
from datetime import datetime

HASH_BITS = 256
HASH_BYTES = HASH_BITS // 8


@dataclass(frozen=True, kw_only=True)
class FrameHash:
    """What one frame looks like."""

    time_seconds: float
    pdq: bytes  # 32 of them; as hex it is what hash-sharing programmes exchange
    mirrored: bytes  # the same of the frame's mirror image
    quality: int  # 0 to 100: how much there is to tell it by


@dataclass(frozen=True, kw_only=True)
class Match:
    """What looks like a video: another video, or a hash of a list."""

    video_id: int | None  # None: of a list
    list_hash_id: int | None  # None: a video
    distance: int  # bits between the two closest frames, 0 to 256
    share: float  # of this video's hashes that have their like there, (0, 1]
    other_share: float  # of the other's hashes that have their like here, (0, 1]
    mirrored: bool  # one is the mirror image of the other


@dataclass(frozen=True, kw_only=True)
class KnownDecision:
    """What was decided of the other video."""

    outcome: str
    account: str  # the name of who decided
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class KnownContent:
    """A match as it is shown."""

    video_id: int | None  # what it looks like; None: a hash of a list
    name: str  # under which that video was last seen, or the list's name for the hash
    list_name: str | None
    distance: int  # bits between the two closest frames, 0 to 256
    share: float  # of this video's hashes that have their like there, (0, 1]
    other_share: float  # of the other's hashes that have their like here, (0, 1]
    mirrored: bool
    decision: KnownDecision | None  # the last answer on that video


def distance(one: bytes, other: bytes) -> int:
    """The number of bits in which two hashes differ, 0 to 256."""
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()
