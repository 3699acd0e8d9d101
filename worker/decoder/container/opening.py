"""Opening a container: libav gets the bytes from us and cannot open anything itself.

Runs in the decoder process, after `worker.decoder.sandbox.lockdown.lock_down`, so everything it needs is
imported here. PyAV imports kinds of streams and codecs only when a file has one; that is why they are named
below.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Never

import av
import av.audio.codeccontext
import av.audio.stream
import av.logging
import av.subtitles.codeccontext
import av.subtitles.stream
import av.subtitles.subtitle
import av.video.codeccontext
import av.video.stream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream

from core.errors import BrokenMedia, MediaTooLarge
from core.gate import sniff
from core.media_formats import CODECS
from worker.decoder.protocol import Request

# Decoders that libav may start by itself to probe a stream. Sound is never decoded.
PROBING = (*sorted(CODECS), "libdav1d", "flv", "msmpeg4")

BUFFER = 256 * 1024  # bytes per read: fewer calls from libav into Python than with its own 32 KiB
MOST_PIXELS = 2**31 - 1  # that libav can count
USUALLY_LISTED = 1000  # streams, libav's default
MOST_ERRORS = 64  # read errors in a row after which the rest of the file counts as unreadable


class MediaBytes:
    """The file as libav reads it.

    Out of memory, it pretends to end: libav would otherwise retry for ever. A place before the file's start,
    to which a damaged index can send libav, is answered with -1: PyAV would raise an exception later and
    elsewhere.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.tell = file.tell
        self._read, self._seek = file.read, file.seek
        self._exhausted = False

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -1

    def read(self, count: int) -> bytes:
        try:
            return b"" if self._exhausted else self._read(count)
        except MemoryError:
            self._exhausted = True
            return b""

    def check(self) -> None:
        """Raises MemoryError if a read failed for lack of memory."""
        if self._exhausted:
            raise MemoryError


def open_container(
    file: MediaBytes, head: bytes, request: Request, *, decoding: bool = True
) -> InputContainer:
    """Open the container. Without `decoding` no decoder is started, and frames may be of any size.

    Raises MediaTooLarge where it has too many streams, BrokenMedia where libav cannot read it.
    """
    try:
        container = _open(file, head, request, decoding=decoding)
    except MemoryError:
        # Also libav's error for more streams than it was told to list.
        if "max_streams" in log_of_opening(file, head, request):
            raise _too_many_streams(request, _most_listed(request)) from None
        raise
    except (FFmpegError, OSError, ValueError) as error:
        file.check()
        reason = f"the file is truncated or damaged: {_reason(error)}"
        raise BrokenMedia(name=request.name, reason=reason) from None
    if len(container.streams) > request.max_streams:
        raise _too_many_streams(request, len(container.streams))
    return container


def log_of_opening(file: MediaBytes, head: bytes, request: Request) -> str:
    """What libav logs on opening: the cause of some refusals is only in its log."""
    file.seek(0)
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)  # an earlier opening may have said the same
    try:
        with av.logging.Capture() as log, contextlib.suppress(MemoryError, FFmpegError):
            _open(file, head, request).close()
    finally:
        av.logging.set_level(None)
    return " ".join(text for _, _, text in log)


def _open(file: MediaBytes, head: bytes, request: Request, *, decoding: bool = True) -> InputContainer:
    # Naming the format keeps libav from guessing: what the gate saw is what is opened.
    demuxer = sniff(head, request.name).reader
    return av.open(
        file,
        "r",
        format=demuxer,
        options={
            "format_whitelist": demuxer,
            "codec_whitelist": ",".join(PROBING) if decoding else "none",
            "protocol_whitelist": "none",
            "max_pixels": str(request.max_pixels if decoding else MOST_PIXELS),
            "max_streams": str(_most_listed(request)),
        },
        metadata_errors="replace",
        buffer_size=BUFFER,
        io_open=_refuse,
    )


def _most_listed(request: Request) -> int:
    """Streams that libav lists: more than allowed, so that a message can say how many there are."""
    return max(USUALLY_LISTED, request.max_streams + 2)


def _too_many_streams(request: Request, count: int) -> MediaTooLarge:
    return MediaTooLarge(
        name=request.name,
        quantity="the number of streams",
        value=count if count < _most_listed(request) else f"{count} or more",
        limit=request.max_streams,
        setting="FACEWARDEN_DECODE__MAX_STREAMS",
    )


def packets(container: InputContainer, streams: Sequence[Stream]) -> Iterator["Packet[Stream]"]:
    """The packets of `streams` from the current position on, continuing after damaged places."""
    errors = 0
    while errors < MOST_ERRORS:
        try:
            for packet in container.demux(*streams):
                if packet.size > 0:
                    errors = 0
                    yield packet
        except MemoryError:
            raise
        except FFmpegError:
            errors += 1
        else:
            return


def _refuse(url: str, flags: int, options: dict[str, str]) -> Never:
    del flags, options
    raise PermissionError(f"a video asked for {url!r}")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
