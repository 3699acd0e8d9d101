"""Clips for tests, made in the test's own folder: `media.video("clip.mp4", frames=60)`.

Every frame of a clip carries its number as black and white blocks along its upper edge, so that a test
can tell which frame it got (`number_in`). Product code makes its clips in `cli.demo`; these are for tests.
"""

import struct
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from numpy.typing import NDArray

from fuzz.scheduling import scheduling_kept

BLOCK = 16  # pixels; survives any codec and chroma subsampling
BITS = 12
WIDTH, HEIGHT = BLOCK * BITS, 128
TICKS = 90_000  # a second, in the time base in which clips are written


def picture(number: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """Frame `number`: a moving gradient under the blocks, uint8 (height, width, 3) RGB."""
    rows, columns = np.mgrid[:height, :width]
    image = np.stack(
        [
            (columns + 3 * number) % 256,
            (2 * rows + number) % 256,
            (columns // 2 + rows // 2 + 5 * number) % 256,
        ],
        axis=-1,
    ).astype(np.uint8)
    for bit in range(min(BITS, width // BLOCK)):
        image[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 255 if number >> bit & 1 else 0
    return image


def number_in(image: NDArray[np.uint8]) -> int:
    """The number that `picture` wrote into an upright frame."""
    middle = image[BLOCK // 4 : 3 * BLOCK // 4].mean(axis=(0, 2))
    bits = min(BITS, image.shape[1] // BLOCK)
    return sum(
        1 << bit
        for bit in range(bits)
        if middle[bit * BLOCK + BLOCK // 4 : (bit + 1) * BLOCK - 4].mean() > 127
    )


def _appended(given: Any, stream: Any, out: Any, output: Any, start: float, end: float) -> float:
    """Write the packets of `given` from `start` on, up to `end` seconds; returns when they are over."""
    filtered = BitStreamFilterContext("h264_mp4toannexb", stream)
    rate, first, latest = float(stream.average_rate), None, start
    for packet in given.demux(stream):
        for annex_b in filtered.filter(packet if packet.size else None):
            tick = float(annex_b.time_base)
            first = annex_b.dts if first is None else first
            decoded = start + (annex_b.dts - first) * tick
            if decoded >= end:
                break
            shift = round(start * TICKS) - round(first * tick * TICKS)
            annex_b.pts = round(annex_b.pts * tick * TICKS) + shift
            annex_b.dts = round(annex_b.dts * tick * TICKS) + shift
            annex_b.time_base = Fraction(1, TICKS)
            annex_b.stream = out
            output.mux(annex_b)
            latest = decoded + 1 / rate
    return latest


class Media:
    """Writes clips into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def video(
        self,
        name: str,
        *,
        frames: int = 60,
        rate: int = 25,
        size: tuple[int, int] = (WIDTH, HEIGHT),
        codec: str = "libx264",
        pixel_format: str = "yuv420p",
        options: Mapping[str, str] | None = None,
        container_options: Mapping[str, str] | None = None,
        container: str | None = None,
        seconds_of: Callable[[int], float] | None = None,
        rotation: tuple[float, bool] | None = None,
        metadata: Mapping[str, str] | None = None,
        draw: Callable[[int, int, int], NDArray[np.uint8]] = picture,
    ) -> Path:
        """A clip without sound.

        Args:
            size: width and height in pixels.
            options: of the encoder; `container_options`: of the muxer.
            seconds_of: presentation time of a frame; by default frame / rate.
            rotation: degrees counter-clockwise and whether to mirror, as metadata.
            metadata: of the stream.
            draw: gives frame `number` of `width` and `height`.
        """
        path = self.folder / name
        opened = av.open(str(path), "w", format=container, options=dict(container_options or {}))
        with scheduling_kept(), opened as output:
            stream: Any = output.add_stream(codec, rate=rate)
            stream.width, stream.height = size
            stream.pix_fmt = pixel_format
            # One thread: x264 would cut frames into slices, which few clips in the wild have.
            stream.codec_context.thread_count = 1
            stream.options = dict(options or {})
            stream.metadata.update(metadata or {})
            if seconds_of is not None:
                stream.codec_context.time_base = Fraction(1, TICKS)
            if rotation is not None:
                stream.set_display_rotation(rotation[0], hflip=rotation[1])
            for number in range(frames):
                frame = av.VideoFrame.from_ndarray(draw(number, *size), format="rgb24")
                if seconds_of is not None:
                    frame.time_base, frame.pts = Fraction(1, TICKS), round(seconds_of(number) * TICKS)
                else:
                    frame.time_base, frame.pts = Fraction(1, rate), number
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        return path

    def audio(self, name: str, *, seconds: float = 1.0) -> Path:
        path = self.folder / name
        with av.open(str(path), "w") as output:
            stream: Any = output.add_stream("aac", rate=44_100)
            for _ in range(round(seconds * 44_100 / 1024)):
                frame = av.AudioFrame.from_ndarray(
                    np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
                )
                frame.rate = 44_100
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        return path

    def with_many_streams(self, name: str, streams: int) -> Path:
        """As many video streams, one frame each."""
        path = self.folder / name
        with av.open(str(path), "w") as output:
            made: list[Any] = []
            for _ in range(streams):
                stream: Any = output.add_stream("mpeg4", rate=25)
                stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
                made.append(stream)
            for stream in made:
                output.mux(stream.encode(av.VideoFrame.from_ndarray(picture(0), format="rgb24")))
                output.mux(stream.encode(None))
        return path

    def spliced(self, name: str, *parts: tuple[Path, float]) -> Path:
        """H.264 clips (MP4, video alone) one after another in a transport stream, each looped for so long.

        Nothing is encoded again; each part brings its own parameters and its own size.

        Args:
            parts: a clip and the seconds that it lasts.
        """
        path = self.folder / name
        with av.open(str(path), "w", format="mpegts") as output:
            out: Any = None
            start = 0.0
            for source, seconds in parts:
                end = start + seconds
                while start < end - 1e-6:
                    with av.open(str(source)) as given:
                        stream: Any = given.streams.video[0]
                        out = out or output.add_stream_from_template(stream)
                        start = _appended(given, stream, out, output, start, end)
        return path

    def remux(
        self, source: Path, name: str, *, shift: float = 0.0, options: Mapping[str, str] | None = None
    ) -> Path:
        """The packets of `source`, which must have all their times (an MP4), `shift` seconds later."""
        path = self.folder / name
        with av.open(str(source)) as given, av.open(str(path), "w", options=dict(options or {})) as output:
            streams = {stream.index: output.add_stream_from_template(stream) for stream in given.streams}
            packet: Any
            for packet in given.demux():
                if packet.size == 0:
                    continue
                ticks = round(shift / packet.time_base)
                packet.dts += ticks
                packet.pts += ticks
                packet.stream = streams[packet.stream.index]
                output.mux(packet)
        return path


def _box(kind: bytes, *parts: bytes) -> bytes:
    return struct.pack(">I4s", 8 + sum(map(len, parts)), kind) + b"".join(parts)


def _track(number: int) -> bytes:
    """An MP4's track of H.264 without a sample."""
    square = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    header = struct.pack(">5I24x", 0, 0, 0, number, 0) + square + struct.pack(">2I", 16 << 16, 16 << 16)
    coding = _box(b"avc1", bytes(24), struct.pack(">2H", 16, 16), bytes(50))
    tables = (_box(kind, bytes(8)) for kind in (b"stts", b"stsc", b"stco"))
    table = _box(b"stbl", _box(b"stsd", bytes(7), b"\1", coding), *tables, _box(b"stsz", bytes(12)))
    media = _box(b"mdhd", bytes(12), struct.pack(">2I", 1000, 1000), bytes(4))
    handler = _box(b"hdlr", bytes(8), b"vide", bytes(13))
    return _box(b"trak", _box(b"tkhd", header), _box(b"mdia", media, handler, _box(b"minf", table)))


def mp4_of_tracks(count: int) -> bytes:
    """An MP4 that declares `count` video tracks."""
    movie = _box(b"mvhd", bytes(12), struct.pack(">2I", 1000, 1000), bytes(80))
    return _box(b"ftyp", b"isom", bytes(4), b"isom") + _box(b"moov", movie, *map(_track, range(1, count + 1)))


def _element(code: str, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return bytes.fromhex(code) + struct.pack(">Q", len(content) | 1 << 56) + content


def mkv_of_tracks(count: int) -> bytes:
    """A Matroska file that declares `count` video tracks, with one packet of the first."""
    tracks = (
        _element(
            "ae",
            _element("d7", struct.pack(">H", number)),
            _element("73c5", struct.pack(">H", number)),
            _element("83", b"\1"),
            _element("86", b"V_VP8"),
            _element("e0", _element("b0", b"\x10"), _element("ba", b"\x10")),
        )
        for number in range(1, count + 1)
    )
    cluster = _element("1f43b675", _element("e7", b"\0"), _element("a3", b"\x81\0\0\x80"))
    head = _element(
        "1a45dfa3", _element("4282", b"matroska"), _element("4287", b"\4"), _element("4285", b"\2")
    )
    info = _element("1549a966", _element("2ad7b1", b"\x0f\x42\x40"))
    return head + _element("18538067", info, _element("1654ae6b", *tracks), cluster)


@pytest.fixture
def media(tmp_path: Path) -> Media:
    return Media(tmp_path)
