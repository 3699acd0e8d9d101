"""FLV: a stream of video tags cut into small files at its keyframes.

Adobe's "Video File Format Specification" 10.1, annex E, and Enhanced RTMP for newer codecs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from worker.streams.source import Segment

HEADER = b"FLV\x01\x01\0\0\0\x09\0\0\0\0"  # pictures only
VIDEO = 9
AVC = 7
SHORTEST_SECONDS = 2.0  # of a segment: starting a decoder costs a quarter of a second
FRAME_SECONDS = 0.04  # that the last frame of a segment is shown, where nobody knows
LEAP_MILLISECONDS = 10_000  # by which a clock may jump before it counts as set anew


@dataclass(frozen=True, kw_only=True)
class Tag:
    """A video tag."""

    time: int  # milliseconds, in 32 bits
    body: bytes

    @property
    def is_header(self) -> bool:
        """Whether it describes the frames to come, and is none."""
        first = self.body[0] if self.body else 0
        if first & 0x80:  # enhanced: the packet's type in the lower half, 0 is "sequence start"
            return first & 0x0F == 0
        return first & 0x0F == AVC and self.body[1:2] == b"\0"

    @property
    def is_key(self) -> bool:
        return (self.body[0] >> 4) & 0x07 == 1 and not self.is_header


class Cutter:
    """Collects tags until a segment is whole."""

    def __init__(self, create: Callable[[], BinaryIO], *, longest_seconds: float, most_bytes: int) -> None:
        self._create, self._longest, self._most = create, longest_seconds, most_bytes
        self._header: Tag | None = None  # the latest
        self._file: BinaryIO | None = None
        self._first = self._last = 0  # milliseconds of the segment's first and last frame
        self._size = 0

    def add(self, tag: Tag, start: float) -> Segment | None:
        """The next tag; the segment that is whole before it, which begins at `start` (stream time).

        Raises ValueError where a segment grows too large.
        """
        if tag.is_header:
            self._header = tag
        if not tag.body or tag.is_header:
            return None
        whole = None
        if self._file is not None and self._ends_before(tag):
            whole = self._cut(start, tag.time)
        if self._file is None:
            if not tag.is_key:
                return whole  # nothing can be decoded before a keyframe
            self._open(tag)
        self._write(tag)
        return whole

    def finish(self, start: float) -> Segment | None:
        """What is left of the stream."""
        return None if self._file is None else self._cut(start, None)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _ends_before(self, tag: Tag) -> bool:
        if abs(tag.time - self._last) > LEAP_MILLISECONDS:
            return True
        seconds = (tag.time - self._first) / 1000
        return (tag.is_key and seconds >= SHORTEST_SECONDS) or seconds >= self._longest

    def _open(self, tag: Tag) -> None:
        self._file, self._first, self._last, self._size = self._create(), tag.time, tag.time, 0
        self._file.write(HEADER)
        if self._header is not None:
            self._write(Tag(time=tag.time, body=self._header.body))

    def _write(self, tag: Tag) -> None:
        assert self._file is not None  # noqa: S101  opened before
        self._last = tag.time
        stamp = max(0, tag.time - self._first)
        head = bytes([VIDEO]) + len(tag.body).to_bytes(3, "big")
        head += (stamp & 0xFFFFFF).to_bytes(3, "big") + bytes([stamp >> 24 & 0xFF]) + b"\0\0\0"
        self._file.write(head + tag.body + (len(head) + len(tag.body)).to_bytes(4, "big"))
        self._size += len(head) + len(tag.body) + 4
        if self._size > self._most:
            raise ValueError(f"a part without a keyframe is larger than {self._most} bytes")

    def _cut(self, start: float, following: int | None) -> Segment:
        assert self._file is not None  # noqa: S101  opened before
        seconds = (self._last - self._first) / 1000 + FRAME_SECONDS
        if following is not None and 0 <= following - self._last <= LEAP_MILLISECONDS:
            seconds = (following - self._first) / 1000
        file, self._file = self._file, None
        file.flush()
        return Segment(
            start_seconds=start,
            duration_seconds=max(seconds, FRAME_SECONDS),
            file=file,
            size_bytes=self._size,
        )
