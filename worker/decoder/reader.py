"""Sampled frames of a video or picture, decoded in a process that can be killed.

with VideoReader(path, settings.decode, settings.sampling, name="clip.mp4") as reader:
    for frame in reader:
        ...
reader.report.coverage
"""

import errno
import os
import stat
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
from pydantic import TypeAdapter

from core.errors import EmptyFile, FileVanished, UnsafePath
from core.settings import DecodeSettings, SamplingSettings
from models.face import Image
from worker.decoder.budget import GIGAPIXEL, Limits
from worker.decoder.child import COMMAND, DecoderChild
from worker.decoder.protocol import FrameHeader, Orientation, Request
from worker.decoder.sampling import SampleRate, longest_unseen
from worker.decoder.sandbox.lockdown import Part
from worker.decoder.shared_memory import create_region, read_into, region_bytes


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What the container and the first frame declare."""

    container: str  # libav's or Pillow's name
    codec: str
    pixel_format: str
    width: int  # pixels, upright and square
    height: int
    rotation: int  # degrees clockwise by which the stored picture was turned upright
    duration_seconds: float  # as declared if the file is truncated; 0 for a still
    frame_rate: float | None  # mean, frames per second; None for a still
    frames: int  # in the file; 1 for a still
    expected_samples: int  # that a whole file would give


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One sampled frame."""

    index: int  # of the sample, counted from 0: stream by stream, each in order of time
    time_seconds: float  # on a player's clock
    keyframe: bool
    damaged: bool  # the decoder patched it up, or it depends on a frame that was
    image: Image  # (H, W, 3) RGB, upright, the reader's own copy
    stream: int = 0  # of the file's streams of pictures, counted from 0; times run per stream

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.image.shape[1], self.image.shape[0]


@dataclass(frozen=True, kw_only=True)
class StreamReport:
    """How decoding the samples of one stream of pictures went."""

    taken: int = 0  # samples that came
    damaged: int = 0  # of these

    @property
    def mostly_damaged(self) -> bool:
        return 2 * self.damaged > self.taken

    def with_sample(self, *, damaged: bool) -> "StreamReport":
        return StreamReport(taken=self.taken + 1, damaged=self.damaged + damaged)


@dataclass(frozen=True, kw_only=True)
class DecodeReport:
    """How decoding the samples went."""

    expected: int  # samples that the whole video would give
    taken: int  # samples that came
    damaged: int  # of these
    decoded_frames: int  # frames decoded to reach them
    seconds: float  # of decoder work, without waiting for the reader
    longest_unseen_seconds: float  # of the video, between two undamaged samples or before or after them all
    streams: Mapping[int, StreamReport] = field(default_factory=dict)  # by its number
    unseen: tuple[str, ...] = ()  # what was not looked at, in words; it lowers the coverage

    @property
    def coverage(self) -> float:
        """Samples that came undamaged, as a fraction of those expected, in [0, 1]."""
        return min(1.0, (self.taken - self.damaged) / self.expected) if self.expected else 0.0

    @property
    def mostly_damaged(self) -> bool:
        """Whether that is so of any of its streams."""
        return any(stream.mostly_damaged for stream in self.streams.values())


@dataclass(frozen=True, kw_only=True)
class _Placed:
    """Where a frame is in the shared memory."""

    offset: int  # bytes
    header: FrameHeader


@dataclass(frozen=True, kw_only=True)
class _Done:
    """The decoder's final message."""

    decoded: int  # frames
    seconds: float
    unseen: tuple[str, ...] = ()


_Message = TypeVar("_Message")
_CHECKERS: dict[type, TypeAdapter[Any]] = {}


class VideoReader:
    """Iterate once over the sampled frames, in order of time.

    The decoder runs a few frames ahead of the loop. It ends with the `with` block, and with the thread
    that entered it.

    Raises, on entering or iterating, an InputError that names the input and the remedy; DecoderKilled
    if the decoder crashed, hung or asked for too much.
    """

    def __init__(
        self,
        path: Path,
        decode: DecodeSettings,
        sampling: SamplingSettings,
        *,
        name: str | None = None,
        command: Sequence[str] = COMMAND,
        opened: int | None = None,
    ) -> None:
        """With `opened`, the descriptor of an open file that stays the caller's, that is read, not `path`."""
        self._opened = opened
        self._path, self._decode, self._sampling, self._command = path, decode, sampling, command
        self._name = name or str(path)
        self._child: DecoderChild | None = None
        self._memory = -1
        self._region = region_bytes(decode.max_pixels)
        self._taken = self._damaged = 0
        self._streams: dict[int, StreamReport] = {}
        self._seen: dict[int, list[float]] = defaultdict(list)  # seconds, of a stream's undamaged samples
        self._probe: Probe | None = None
        self.report: DecodeReport | None = None  # None until the loop has ended

    @property
    def probe(self) -> Probe:
        """What the file is; known inside the `with` block."""
        if self._probe is None:
            raise RuntimeError("the probe is known inside the with block only")
        return self._probe

    @property
    def sandbox(self) -> list[Part]:
        """The state of the parts that not every kernel has; known inside the `with` block."""
        return self._running.sandbox

    def __enter__(self) -> Self:
        file = self._open_file()
        try:
            self._memory = create_region(self._region)
            self._child = DecoderChild(self._request(file), self._decode, self._command)
            self._probe = self._parse(Probe, "probe", self._child.read())
        except BaseException:
            self._close()
            raise
        finally:
            os.close(file)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def __iter__(self) -> Iterator[Frame]:
        done = None
        try:
            while done is None:
                message = self._running.read()
                if message.get("kind") == "frame":
                    yield self._frame(message)
                else:
                    done = self._parse(_Done, "done", message)
        finally:
            # Also after a failure: what came before it is reported.
            self.report = DecodeReport(
                expected=self.probe.expected_samples,
                taken=self._taken,
                damaged=self._damaged,
                decoded_frames=done.decoded if done else 0,
                seconds=done.seconds if done else 0.0,
                longest_unseen_seconds=self._longest_unseen(),
                streams=self._streams,
                unseen=(*(done.unseen if done else ()), *self._mostly_damaged()),
            )
            if done is None:
                self._close()

    def _mostly_damaged(self) -> tuple[str, ...]:
        return tuple(
            f"{one.damaged} of {one.taken} sampled frames{self._of_stream(number)}, which are damaged"
            for number, one in self._streams.items()
            if one.mostly_damaged
        )

    def _of_stream(self, number: int) -> str:
        return f" of stream {number}" if len(self._streams) > 1 else ""

    def _longest_unseen(self) -> float:
        """Over all streams; for all but the first, what follows the last sample is unknown."""
        first = longest_unseen(self._seen[0], self.probe.duration_seconds)
        others = [longest_unseen(times, max(times)) for n, times in self._seen.items() if n and times]
        return max([first, *others])

    def _open_file(self) -> int:
        if self._opened is not None:  # opened anew: two descriptors of one opening share their place
            return os.open(f"/proc/self/fd/{self._opened}", os.O_RDONLY | os.O_CLOEXEC)
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a FIFO must not hold us up
        try:
            file = os.open(self._path, flags)
        except FileNotFoundError:
            raise FileVanished(name=self._name) from None
        except OSError as error:
            reason = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
            raise UnsafePath(name=self._name, reason=reason) from None
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            os.close(file)
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise UnsafePath(name=self._name, reason=f"it is {kind}")
        if status.st_size == 0:
            os.close(file)
            raise EmptyFile(name=self._name)
        return file

    def _request(self, file: int) -> Request:
        decode, size = self._decode, os.fstat(file).st_size
        return Request(
            name=self._name,
            file=file,
            memory=self._memory,
            parent=os.getpid(),
            threads=decode.threads,
            max_pixels=decode.max_pixels,
            max_duration_seconds=decode.max_duration_seconds,
            max_streams=decode.max_streams,
            max_decoded_frames=decode.max_decoded_frames,
            memory_bytes=decode.memory_bytes,
            limits=limits(decode, size),
            rate=sample_rate(self._sampling),
        )

    def _frame(self, message: dict[str, Any]) -> Frame:
        placed = self._parse(_Placed, "frame", message)
        header = placed.header
        if self._taken >= self.probe.expected_samples:
            self._running.nonsense("more frames than it announced")
        if min(header.width, header.height) < 1 or header.width * header.height > self._decode.max_pixels:
            self._running.nonsense(f"a frame of {header.width} x {header.height}")
        # Checked here, because an offset of -1 means "the current position" to the system.
        if not 0 <= placed.offset <= self._region - header.size:
            self._running.nonsense(f"a frame at {placed.offset}")
        pixels: Image = np.empty((header.height, header.width, 3), np.uint8)
        try:
            read_into(self._memory, pixels.data.cast("B"), placed.offset)
        except (ValueError, OSError) as error:
            self._running.nonsense(str(error))
        self._running.took_frame()
        self._taken += 1
        self._damaged += header.damaged
        so_far = self._streams.get(header.stream, StreamReport())
        self._streams[header.stream] = so_far.with_sample(damaged=header.damaged)
        if not header.damaged:
            self._seen[header.stream].append(header.seconds)
        return Frame(
            index=header.index,
            time_seconds=header.seconds,
            keyframe=header.keyframe,
            damaged=header.damaged,
            image=_upright(pixels, header.orientation),
            stream=header.stream,
        )

    def _parse(self, what: type[_Message], kind: str, message: dict[str, Any]) -> _Message:
        """`message` as a validated value: a decoder that was taken over can write anything."""
        if message.pop("kind", None) != kind:
            self._running.nonsense(f"a {kind} was expected")
        try:
            return _checked(what, message)
        except ValueError:
            self._running.nonsense(f"an invalid {kind}")

    @property
    def _running(self) -> DecoderChild:
        if self._child is None:
            raise RuntimeError("frames come inside the with block only")
        return self._child

    def _close(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None
        if self._memory >= 0:
            os.close(self._memory)
            self._memory = -1


def sample_rate(sampling: SamplingSettings) -> SampleRate:
    """The settings in the decoder's own terms."""
    return SampleRate(
        per_second=sampling.frames_per_second,
        short=sampling.short_frames,
        step_seconds=sampling.step_seconds,
        stepped=sampling.step_frames,
        long_step_seconds=sampling.long_step_seconds,
        least=sampling.min_frames,
        most=sampling.max_frames,
    )


def limits(settings: DecodeSettings, file_bytes: int) -> Limits:
    """What decoding a file of `file_bytes` may cost."""
    megabytes = file_bytes / 1e6
    return Limits(
        pixels=GIGAPIXEL * (settings.gigapixels + settings.gigapixels_per_megabyte * megabytes),
        cpu_seconds=settings.cpu_seconds + settings.cpu_seconds_per_megabyte * megabytes,
        cpu_seconds_per_pixel=settings.cpu_seconds_per_gigapixel / GIGAPIXEL,
    )


def _checked(what: type[_Message], message: dict[str, Any]) -> _Message:
    if what not in _CHECKERS:  # building one takes a hundred times as long as using it
        _CHECKERS[what] = TypeAdapter(what)
    checked: _Message = _CHECKERS[what].validate_python(message)
    return checked


def _upright(pixels: Image, orientation: Orientation) -> Image:
    turned = pixels.transpose(1, 0, 2) if orientation.transpose else pixels
    if orientation.flip_x:
        turned = turned[:, ::-1]
    if orientation.flip_y:
        turned = turned[::-1]
    return np.ascontiguousarray(turned)
