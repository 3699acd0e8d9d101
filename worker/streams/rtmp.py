"""RTMP, plain or in TLS: we play a live stream as any player does, over a connection to a checked address.

FFmpeg's own RTMP would have to open its connection itself, in the process that decodes. Its messages are the
tags of an FLV file, so that all there is to do is to write them down: each segment, from one keyframe to
another, is a small FLV for the decoder's sandbox. Sound is left out.
"""

import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from core.errors import FetchFailed
from core.outgoing import Target, connect
from core.settings import StreamSettings
from worker.streams import amf
from worker.streams.flv import Cutter, Tag
from worker.streams.rtmp_chunks import ChunkReader, Message, chunked
from worker.streams.source import Gap, Piece, Segment

VERSION = b"\x03"
HANDSHAKE_BYTES = 1536
# Types of messages.
SET_CHUNK_SIZE, ABORT, ACKNOWLEDGEMENT, USER_CONTROL, WINDOW = 1, 2, 3, 4, 5
PICTURES, COMMAND, AGGREGATE = 9, 20, 22
STREAM_EOF, SET_BUFFER, PING, PONG = 1, 3, 6, 7  # events of user control
BUFFER_MILLISECONDS = 3000
MOST_CHUNK_BYTES = 16 * 1024**2
MOST_BEFORE_PLAY = 1000  # messages until the stream begins
PLAYER = "LNX 9,0,124,2"  # what other players call themselves; some servers refuse others
NOT_THERE = ("NetStream.Play.StreamNotFound", "NetStream.Play.Failed", "NetConnection.Connect.Rejected")
OVER = ("NetStream.Play.Stop", "NetStream.Play.UnpublishNotify", "NetStream.Play.Complete")
# Commands with which servers say that nobody sends any more.
UNPUBLISHED = ("onFCUnpublish", "FCUnpublish", "deleteStream")


class RtmpSource:
    """A stream by RTMP; see `Source`."""

    live = True

    def __init__(
        self,
        target: Target,
        settings: StreamSettings,
        *,
        wait: Callable[[float], bool],
        clock: Callable[[], float] = time.monotonic,
        folder: Path | None = None,
    ) -> None:
        """Arguments as of `HlsSource`."""
        self._target, self._settings, self._wait, self._clock = target, settings, wait, clock
        self._folder = folder
        self._time = 0.0  # stream time at which the next piece begins
        self._came_at: float | None = None  # by the clock, when the last piece came

    @property
    def name(self) -> str:
        return self._target.name

    def pieces(self) -> Iterator[Piece]:
        limits = self._settings
        try:
            with closing(connect(self._target, limits.guard, limits.patience)) as dialled:
                yield from self._watched(_Player(dialled, self._target))
        except (OSError, ValueError) as error:
            reason = "it does not answer in time" if isinstance(error, TimeoutError) else str(error)
            raise FetchFailed(name=self.name, reason=reason or type(error).__name__) from error

    def _watched(self, player: "_Player") -> Iterator[Piece]:
        player.begin()
        limits = self._settings
        cutter = Cutter(
            lambda: tempfile.TemporaryFile(dir=self._folder),  # noqa: SIM115  its receiver closes it
            longest_seconds=limits.max_segment_seconds,
            most_bytes=limits.max_segment_bytes,
        )
        with closing(cutter):
            begins, begun = self._time, False
            broken: Exception | None = None
            try:
                for tag in player.tags():
                    if tag.is_key and not begun:
                        begins, begun = self._time + self._away(), True
                    piece = cutter.add(tag, begins)
                    if piece is not None:
                        yield from self._given(piece)
                        begins = self._time
                    if self._wait(0.0):
                        return
            except (OSError, ValueError, FetchFailed) as error:
                broken = error
            piece = cutter.finish(begins)
            if piece is not None:
                yield from self._given(piece)
            if broken is not None:
                raise broken

    def _away(self) -> float:
        """Seconds since the last piece. A server that answers, but has no stream yet, does not end them."""
        return 0.0 if self._came_at is None else max(0.0, self._clock() - self._came_at)

    def _given(self, piece: Segment) -> Iterator[Piece]:
        """The piece, behind the gap before it."""
        missed = piece.start_seconds - self._time
        if missed > 0:
            gap = Gap(start_seconds=self._time, duration_seconds=missed, reason="the stream broke off")
            try:
                yield gap
            except GeneratorExit:
                piece.file.close()
                raise
        self._time = piece.start_seconds + piece.duration_seconds
        self._came_at = self._clock()
        yield piece


class _Player:
    """The client's side of one connection. Its methods raise OSError, ValueError and FetchFailed."""

    def __init__(self, dialled: socket.socket, target: Target) -> None:
        self._socket, self._target = dialled, target
        self._chunks = ChunkReader(self._take)
        self._unread = bytearray()
        self._received = self._acknowledged = 0  # bytes
        self._window = 0  # bytes after which the server wants to hear of us; 0: never
        app, _, self._stream = unquote(target.path).lstrip("/").rpartition("/")
        self._app = app or self._stream

    def begin(self) -> None:
        """Shake hands, and ask for the stream until it begins."""
        ours = bytes(8) + os.urandom(HANDSHAKE_BYTES - 8)
        self._socket.sendall(VERSION + ours)
        if self._take(1) != VERSION:
            raise ValueError("its server does not speak RTMP")
        self._socket.sendall(self._take(HANDSHAKE_BYTES))
        self._take(HANDSHAKE_BYTES)
        root = f"{self._target.scheme}://{self._target.host}:{self._target.port}/{self._app}"
        about = {"app": self._app, "flashVer": PLAYER, "tcUrl": root, "fpad": False, "capabilities": 15}
        codecs = {"audioCodecs": 4071, "videoCodecs": 252, "videoFunction": 1}
        self._command("connect", 1, about | codecs)
        self._answer(1)
        self._command("createStream", 2, None)
        given = self._answer(2)
        number = int(given[3]) if len(given) > 3 and isinstance(given[3], float) else 1
        self._command("play", 3, None, self._stream, -2, stream=number)
        length = SET_BUFFER.to_bytes(2, "big") + number.to_bytes(4, "big")
        self._send(USER_CONTROL, length + BUFFER_MILLISECONDS.to_bytes(4, "big"))

    def tags(self) -> Iterator[Tag]:
        """The pictures as tags of an FLV file, until the stream ends. Raises FetchFailed where it is none."""
        while True:
            message = self._next()
            if message is None:
                return
            if message.kind == PICTURES:
                yield Tag(time=message.time, body=message.body)
            elif message.kind == AGGREGATE:
                yield from _aggregated(message)
            elif message.kind == COMMAND and self._ended(amf.decode(message.body)):
                return

    def _ended(self, words: list[Any]) -> bool:
        """Whether a command says that the stream is over. Raises FetchFailed where it was refused."""
        if words[:1] and words[0] in UNPUBLISHED:
            return True
        status = words[3] if len(words) > 3 and isinstance(words[3], dict) else {}
        code, level = str(status.get("code", "")), str(status.get("level", ""))
        if code in NOT_THERE or level == "error" or words[:1] == ["_error"]:
            about = code or "_error"
            raise FetchFailed(name=self._target.name, reason=f"its server answers {about}"[:200])
        return code in OVER

    def _answer(self, number: int) -> list[Any]:
        """The result of command `number`."""
        for _ in range(MOST_BEFORE_PLAY):
            message = self._next()
            if message is None:
                break
            if message.kind != COMMAND:
                continue
            words = amf.decode(message.body)
            self._ended(words)
            if words[:2] == ["_result", float(number)]:
                return words
        raise ValueError("its server does not answer a command")

    def _next(self) -> Message | None:
        """The next message that is not about the connection itself; None where the stream has ended."""
        while True:
            message = self._chunks.message()
            body = message.body
            if self._window and self._received - self._acknowledged > self._window // 2:
                self._acknowledged = self._received
                self._send(ACKNOWLEDGEMENT, (self._received % 2**32).to_bytes(4, "big"))
            if message.kind == SET_CHUNK_SIZE and len(body) >= 4:
                self._chunks.chunk_bytes = min(max(int.from_bytes(body[:4], "big"), 1), MOST_CHUNK_BYTES)
            elif message.kind == ABORT and len(body) >= 4:
                self._chunks.forget(int.from_bytes(body[:4], "big"))
            elif message.kind == WINDOW and len(body) >= 4:
                self._window = int.from_bytes(body[:4], "big")
            elif message.kind == USER_CONTROL and len(body) >= 6:
                event = int.from_bytes(body[:2], "big")
                if event == PING:
                    self._send(USER_CONTROL, PONG.to_bytes(2, "big") + body[2:6])
                elif event == STREAM_EOF:
                    return None
            elif message.kind in {PICTURES, COMMAND, AGGREGATE}:
                return message

    def _command(self, *words: object, stream: int = 0) -> None:
        self._send(COMMAND, amf.encode(*words), stream=stream)

    def _send(self, kind: int, body: bytes, *, stream: int = 0) -> None:
        number = 2 if kind in {ACKNOWLEDGEMENT, USER_CONTROL} else 3
        message = Message(kind=kind, time=0, stream=stream, body=body)
        self._socket.sendall(chunked(message, number=number))

    def _take(self, count: int) -> bytes:
        while len(self._unread) < count:
            piece = self._socket.recv(65536)
            if not piece:
                raise ValueError("its server closed the connection")
            self._received += len(piece)
            self._unread += piece
        taken = bytes(self._unread[:count])
        del self._unread[:count]
        return taken


def _aggregated(message: Message) -> Iterator[Tag]:
    """The pictures of several tags in one message; their times count from its own."""
    at, first, body = 0, None, message.body
    while at + 11 <= len(body):
        size = int.from_bytes(body[at + 1 : at + 4], "big")
        stamp = int.from_bytes(body[at + 7 : at + 8] + body[at + 4 : at + 7], "big")
        first = stamp if first is None else first
        if body[at] == PICTURES:
            yield Tag(time=(message.time + stamp - first) % 2**32, body=body[at + 11 : at + 11 + size])
        at += 11 + size + 4
