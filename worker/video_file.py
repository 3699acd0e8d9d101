"""Opening a stranger's video: allowed formats and codecs, caps first, and no other file than this one.

Runs in the decoder process, after `worker.sandbox.lock_down`: whatever it needs is imported here. PyAV
imports its kinds of streams and codecs only when a file has one; they are named below for that reason.
"""

import re
from collections.abc import Callable, Iterator, Sequence
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
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from core.errors import BrokenMedia, MediaTooLarge, NoVideoStream, UnsupportedMedia
from core.gate import sniff
from core.media_formats import CODECS
from core.media_signatures import HEAD_BYTES
from worker.decoder_messages import Request, too_many_pixels
from worker.nal_units import PictureReader
from worker.timeline import Timeline

# Decoders that libav may start on its own to learn what a stream is. Sound is never decoded.
PROBING = (*sorted(CODECS), "libdav1d", "flv", "msmpeg4")

BUFFER = 256 * 1024  # bytes per read: fewer calls from libav into Python than with its own 32 KiB
USUAL_RATE = 25  # frames a second, of a stream that does not say
MOST_PACKETS = 4_000_000  # listed of the video stream: six hours at 180 frames a second
MOST_ERRORS = 64  # read errors in a row after which the rest of the file counts as unreadable
ALIVE_EVERY = 64  # packets between two signs of life; packets of 8K are large, and disks may be slow
DECLARED_SLACK = 0.5  # seconds by which sound, pictures and header of a whole file may differ
LEAST_SHARE = 1e-3  # a forged header may declare anything


class VideoFile:
    """An opened video whose packets are listed, in order of decoding, in `timeline`."""

    def __init__(self, file: BinaryIO, request: Request, alive: Callable[[], None]) -> None:
        """Open `file`, check it against the caps and list its packets; nothing is decoded.

        Raises EmptyFile, NotMedia, UnsupportedMedia, NoVideoStream, MediaTooLarge or BrokenMedia.
        """
        self._file = _Bytes(file)
        self._request = request
        self._head = file.read(HEAD_BYTES)  # a container also says in it how long it is
        self.container, self.stream = self._open()
        declared = self._declared_seconds()
        self._check_duration(declared or 0.0)
        self.timeline, end = self._list_packets(alive)
        self._file.check()
        if not self.timeline.frames:
            raise BrokenMedia(name=request.name, reason="there is no packet of video in it")
        tick = self.timeline.tick
        # Of the part that is there; a single frame lasts as long as its rate says.
        self.seconds = self.timeline.span() * tick or 1 / float(self.stream.average_rate or USUAL_RATE)
        self.rate = float(self.stream.average_rate or len(self.timeline.frames) / self.seconds)
        self._check_duration(self.seconds)
        # Presentation time at which a player's clock shows zero, in seconds.
        self.origin = (self.container.start_time or 0) / av.time_base
        # Parts in (0, 1]: of what was declared, what is there; of that, what was not cut out of its middle.
        self.present = self._share_of_packets() * self._share_of_time(declared, end - self.origin)
        self.intact = self._share_of_frames()

    def seek(self, time: int) -> None:
        """Go to the keyframe at or before `time`, in ticks, as near as the container can."""
        self.container.seek(time, stream=self.stream)

    def reopen(self) -> None:
        """Start anew at the first byte, for a file in which seeking does not work."""
        self.container.close()
        self.container, self.stream = self._open()

    def _open(self) -> tuple[InputContainer, VideoStream]:
        self._file.seek(0)
        container = open_container(self._file, self._head, self._request)
        stream = _video_stream(container, self._request)
        width, height = stream.codec_context.width, stream.codec_context.height
        if width * height == 0:
            width, height = self._refused_size()
        if width * height > self._request.max_pixels:
            raise too_many_pixels(self._request, f"{width} x {height} pixels")
        # Threads within a frame only: threads across frames hold back more frames, and on leaving early
        # they have been seen to hang.
        stream.codec_context.thread_type = "SLICE"
        stream.codec_context.thread_count = self._request.threads
        stream.codec_context.options = {"max_pixels": str(self._request.max_pixels)}
        return container, stream

    def _refused_size(self) -> tuple[int, int]:
        """The size of a frame where libav would not take it in; it says so in its log only."""
        self._file.seek(0)
        av.logging.set_level(av.logging.ERROR)
        try:
            with av.logging.Capture() as log, open_container(self._file, self._head, self._request):
                said = " ".join(text for _, _, text in log)
        finally:
            av.logging.set_level(None)
        size = re.search(r"size (\d+)x(\d+)", said)
        return (int(size[1]), int(size[2])) if size else (0, 0)

    def _list_packets(self, alive: Callable[[], None]) -> tuple[Timeline, float]:
        """Also returns when the last packet of any stream ends, in seconds."""
        tick = float(self.stream.time_base or 0)
        rate = float(self.stream.average_rate or USUAL_RATE)
        timeline = Timeline(tick, max(1, round(1 / (rate * tick))) if tick else 1)
        context = self.stream.codec_context
        reader = PictureReader(context.codec.canonical_name, context.extradata)
        # Floats, once per stream: fractions are exact, and take as long as all the rest of the loop.
        ticks = [float(stream.time_base or 0) for stream in self.container.streams]
        end = 0.0
        for count, packet in enumerate(packets(self.container, list(self.container.streams))):
            if count % ALIVE_EVERY == 0:
                alive()
            time = packet.pts if packet.pts is not None else packet.dts
            if time is not None:
                end = max(end, (time + (packet.duration or 0)) * ticks[packet.stream_index])
            if packet.stream_index != self.stream.index:
                continue
            if len(timeline) >= MOST_PACKETS:
                raise _too_large(
                    self._request, "the number of frames", len(timeline), MOST_PACKETS, "MOST_PACKETS"
                )
            timeline.add(
                pts=packet.pts,
                dts=packet.dts,
                key=packet.is_keyframe,
                hidden=packet.is_discard,
                picture=reader.read(memoryview(packet)),
            )
        timeline.close()
        return timeline, end

    def _share_of_packets(self) -> float:
        """Against the container's own list of packets, where it has a complete one."""
        declared = len(self.stream.index_entries) if self._format == "mov" else 0
        return min(1.0, len(self.timeline) / declared) if declared else 1.0

    def _share_of_frames(self) -> float:
        """Against the holes between the frames, where there is no list in which they would show."""
        lost = 0.0 if self._format == "mov" else self.timeline.lost()
        return len(self.timeline) / (len(self.timeline) + lost)

    def _share_of_time(self, declared: float | None, end: float) -> float:
        """Against the duration in the header; `end` is when the last packet ends, both in seconds."""
        slack = max(DECLARED_SLACK, 1.5 * self.timeline.longest() * self.timeline.tick)
        if declared is None or end + slack >= declared:
            return 1.0
        return max(end / declared, LEAST_SHARE)

    def _declared_seconds(self) -> float | None:
        """How long the header says the file lasts; None where libav would only be guessing."""
        if self._format == "avi":
            return float(self.stream.frames * self.stream.time_base) if self.stream.time_base else None
        said = {
            "mov": b"moov" in self._head and b"mvex" in self._head,  # fragments: there is no complete list
            "matroska": re.search(rb"\x44\x89[\x84\x88]", self._head) is not None,
            "flv": b"duration" in self._head,
        }
        if self.container.duration is None or not said.get(self._format, False):
            return None
        return self.container.duration / av.time_base

    @property
    def _format(self) -> str:
        return self.container.format.name.split(",")[0]

    def _check_duration(self, seconds: float) -> None:
        if seconds > self._request.max_duration_seconds:
            raise _too_large(
                self._request,
                "the duration",
                f"{seconds:.0f} s",
                f"{self._request.max_duration_seconds:.0f} s",
                "FACEWARDEN_DECODE__MAX_DURATION_SECONDS",
            )


class _Bytes:
    """The file as libav reads it. Where memory runs out it seems to end: libav would ask again for ever."""

    def __init__(self, file: BinaryIO) -> None:
        self.seek, self.tell = file.seek, file.tell
        self._read = file.read
        self._exhausted = False

    def read(self, count: int) -> bytes:
        try:
            return b"" if self._exhausted else self._read(count)
        except MemoryError:
            self._exhausted = True
            return b""

    def check(self) -> None:
        """Raises MemoryError where a read has failed for want of memory."""
        if self._exhausted:
            raise MemoryError


def open_container(file: _Bytes, head: bytes, request: Request) -> InputContainer:
    """Open the container; libav gets the bytes from us and no means to open anything itself."""
    # Its name keeps libav from guessing: what the gate has seen is what is opened.
    demuxer = sniff(head, request.name).reader
    try:
        return av.open(
            file,
            "r",
            format=demuxer,
            options={
                "format_whitelist": demuxer,
                "codec_whitelist": ",".join(PROBING),
                "protocol_whitelist": "none",
                "max_pixels": str(request.max_pixels),
            },
            metadata_errors="replace",
            buffer_size=BUFFER,
            io_open=_refuse,
        )
    except MemoryError:
        raise
    except (FFmpegError, OSError, ValueError) as error:
        file.check()
        reason = f"the file is cut off or damaged: {_reason(error)}"
        raise BrokenMedia(name=request.name, reason=reason) from None


def packets(container: InputContainer, streams: Sequence[Stream]) -> Iterator["Packet[Stream]"]:
    """The packets of `streams` from the current position on, reading on after damaged places."""
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


def _video_stream(container: InputContainer, request: Request) -> VideoStream:
    if len(container.streams) > request.max_streams:
        raise _too_large(
            request,
            "the number of streams",
            len(container.streams),
            request.max_streams,
            "FACEWARDEN_DECODE__MAX_STREAMS",
        )
    covers = Disposition.attached_pic | Disposition.timed_thumbnails
    videos = [stream for stream in container.streams.video if not stream.disposition & covers]
    if not videos:
        others = {stream.type for stream in container.streams if stream.type != "video"}
        raise NoVideoStream(name=request.name, streams=" and ".join(sorted(others)) or "a cover picture")
    best = container.streams.best("video")
    stream = next((video for video in videos if video is best), videos[0])
    codec = stream.codec_context.codec.canonical_name if stream.codec_context else "of its pictures"
    if codec not in CODECS:
        raise UnsupportedMedia(name=request.name, reason=f"the codec {codec}")
    return stream


def _too_large(request: Request, quantity: str, value: object, limit: object, setting: str) -> MediaTooLarge:
    return MediaTooLarge(name=request.name, quantity=quantity, value=value, limit=limit, setting=setting)
