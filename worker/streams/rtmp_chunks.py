"""RTMP's chunk stream: messages, cut into chunks that take turns on one connection (Adobe's RTMP 1.0, 5.3).

Nothing here knows what the messages mean. What a hostile server can make us keep is bounded.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

FIRST_CHUNK_BYTES = 128
MOST_PENDING_BYTES = 32 * 1024**2  # of messages whose chunks have not all come
MOST_STREAMS = 64  # chunk streams that take turns
LATER = 0xFFFFFF  # of a timestamp: it follows in four bytes
HEADER_BYTES = (11, 7, 3, 0)  # by the kind of a chunk's header


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message."""

    kind: int  # its type: 8 sound, 9 pictures, 20 a command, ...
    time: int  # milliseconds, in 32 bits
    stream: int  # 0: of the connection
    body: bytes


@dataclass(kw_only=True)
class _Chunks:
    """What has come of one chunk stream; a header may leave out what stays the same."""

    time: int = 0
    delta: int = 0
    length: int = 0
    kind: int = 0
    stream: int = 0
    extended: bool = False
    body: bytearray = field(default_factory=bytearray)


class ChunkReader:
    """Puts messages together. Each method raises ValueError where the bytes make no sense."""

    def __init__(self, take: Callable[[int], bytes]) -> None:
        """`take` gives so many bytes, and waits for them."""
        self._take = take
        self._streams: dict[int, _Chunks] = {}
        self.chunk_bytes = FIRST_CHUNK_BYTES

    def message(self) -> Message:
        """The next whole message."""
        while True:
            chunks, fresh = self._header()
            left = chunks.length - len(chunks.body)
            if fresh and len(chunks.body):
                raise ValueError("a message begins before another has ended")
            chunks.body += self._take(min(left, self.chunk_bytes))
            if sum(len(each.body) for each in self._streams.values()) > MOST_PENDING_BYTES:
                raise ValueError("too much is sent at once")
            if len(chunks.body) == chunks.length:
                body, chunks.body = bytes(chunks.body), bytearray()
                return Message(kind=chunks.kind, time=chunks.time, stream=chunks.stream, body=body)

    def forget(self, number: int) -> None:
        """Drop what came of a chunk stream's message (message type 2)."""
        if number in self._streams:
            self._streams[number].body.clear()

    def _header(self) -> tuple[_Chunks, bool]:
        """The chunk stream that goes on, and whether with a new message."""
        first = self._take(1)[0]
        layout, number = first >> 6, first & 0x3F
        if number == 0:
            number = 64 + self._take(1)[0]
        elif number == 1:
            low, high = self._take(2)
            number = 64 + low + 256 * high
        chunks = self._streams.get(number)
        if chunks is None:
            if layout > 1:
                raise ValueError("a chunk stream begins in the middle")
            if len(self._streams) >= MOST_STREAMS:
                raise ValueError("too many chunk streams")
            chunks = self._streams[number] = _Chunks()
        fresh = layout < 3 or not chunks.body
        given = self._take(HEADER_BYTES[layout])
        stamp = int.from_bytes(given[:3], "big") if layout < 3 else 0
        if layout < 2:
            chunks.length, chunks.kind = int.from_bytes(given[3:6], "big"), given[6]
        if layout == 0:
            chunks.stream = int.from_bytes(given[7:11], "little")
        if layout < 3:
            chunks.extended = stamp == LATER
        if chunks.extended:
            late = int.from_bytes(self._take(4), "big")
            stamp = late if layout < 3 else stamp
        self._time(chunks, layout, stamp, fresh=fresh)
        return chunks, fresh

    @staticmethod
    def _time(chunks: _Chunks, layout: int, stamp: int, *, fresh: bool) -> None:
        if layout == 0:
            chunks.time, chunks.delta = stamp, 0
        elif layout < 3:
            chunks.delta = stamp
            chunks.time = (chunks.time + stamp) % 2**32
        elif fresh:
            chunks.time = (chunks.time + chunks.delta) % 2**32


def chunked(message: Message, *, number: int, chunk_bytes: int = FIRST_CHUNK_BYTES) -> bytes:
    """A message as it is sent on chunk stream `number` (3 to 63), with the largest header."""
    head = bytes([number]) + message.time.to_bytes(3, "big") + len(message.body).to_bytes(3, "big")
    head += bytes([message.kind]) + struct.pack("<I", message.stream)
    pieces = [message.body[at : at + chunk_bytes] for at in range(0, len(message.body), chunk_bytes)]
    return head + bytes([0xC0 | number]).join(pieces)
