"""The messages that a reader and its decoder process exchange: one JSON object a line.

    reader  -> decoder   Request, then one empty line for each frame that has been copied out
    decoder -> reader    "ready", "heartbeat" now and then, "probe", "frame" for each sample, and at the end
                         "done", "error", "out_of_memory" or "crashed"

The pixels travel in shared memory (`worker.decoder.shared_memory`), never in these lines.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from core.errors import MediaTooLarge
from worker.decoder.budget import Limits
from worker.decoder.sampling import SampleRate

# Our decoder never writes a longer line.
LONGEST_LINE = 64 * 1024  # bytes


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to decode, and within which limits."""

    name: str  # the file, as errors call it
    file: int  # descriptor of the opened file
    memory: int  # descriptor of the shared memory
    parent: int  # process id of the reader
    threads: int  # slice threads of the decoder
    max_pixels: int
    max_duration_seconds: float
    max_streams: int
    max_decoded_frames: int
    memory_bytes: int  # address space
    limits: Limits
    rate: SampleRate

    def line(self) -> bytes:
        return encode(asdict(self))

    @classmethod
    def parse(cls, line: bytes) -> "Request":
        values = json.loads(line)
        nested = {"limits": Limits(**values["limits"]), "rate": SampleRate(**values["rate"])}
        return cls(**values | nested)


@dataclass(frozen=True, kw_only=True)
class Orientation:
    """How to turn a picture upright: transpose first, then flip."""

    transpose: bool = False  # exchange rows and columns
    flip_x: bool = False  # left to right
    flip_y: bool = False  # top to bottom

    @property
    def degrees(self) -> int:
        """Its clockwise turn, ignoring mirroring."""
        if self.transpose:
            return 90 if self.flip_x else 270
        return 180 if self.flip_y else 0


@dataclass(frozen=True, kw_only=True)
class FrameHeader:
    """Describes a frame whose pixels are in the shared memory."""

    index: int  # of the sample, through all streams
    seconds: float  # presentation time on a player's clock
    keyframe: bool
    damaged: bool
    width: int  # pixels, as stored: before the picture is turned upright
    height: int
    orientation: Orientation
    stream: int = 0  # of the file's streams of pictures, counted from 0; the first is what a player shows

    @property
    def size(self) -> int:
        """Bytes of its pixels."""
        return 3 * self.width * self.height

    @property
    def shown(self) -> tuple[int, int]:
        """Width and height when upright."""
        return (self.height, self.width) if self.orientation.transpose else (self.width, self.height)


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """The summary of a file, once all of it has been handed over."""

    frames: int  # decoded
    unseen: tuple[str, ...] = ()  # what was not looked at, in words


class Channel(Protocol):
    """The decoder's channel to its reader."""

    def send(self, kind: str, **fields: object) -> None: ...

    def heartbeat(self) -> None:
        """A sign of life; call it often. Raises TooCostly if the file has used up its CPU time."""

    def decoded(self, pixels: int) -> None:
        """Count pixels that are about to be decoded, or were. Like `heartbeat`, it may raise TooCostly."""

    def send_frame(self, frame: FrameHeader, write: Callable[[memoryview], None]) -> None:
        """Hand a frame over; `write` puts its RGB pixels into the buffer that it is given."""


def encode(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def too_many_pixels(request: Request, value: str) -> MediaTooLarge:
    return MediaTooLarge(
        name=request.name,
        quantity="the size of a frame",
        value=value,
        limit=f"{request.max_pixels} pixels",
        setting="FACEWARDEN_DECODE__MAX_PIXELS",
    )
