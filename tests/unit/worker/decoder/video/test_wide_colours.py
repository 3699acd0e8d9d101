"""HDR and wide colours come out as the same picture in ordinary ones; interlaced frames come out whole."""

from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from core.settings import DecodeSettings, SamplingSettings
from tests import hdr
from tests.hdr import Colours
from tests.media import Media, picture
from worker.decoder.reader import VideoReader
from worker.decoder.video.conversion import Converter
from worker.decoder.video.wide_colours import hald

COLOURS = np.array(
    [(224, 172, 140), (120, 80, 60), (60, 120, 90), (50, 70, 160), (128, 128, 128), (30, 30, 30)]
)
WIDTH, HEIGHT = 192, 128


def patches(path: Path, colours: Colours) -> Path:
    """A clip of one frame, COLOURS side by side."""
    light = hdr.bt1886(np.repeat(COLOURS, WIDTH // len(COLOURS), axis=0) / 255.0)
    return hdr.write(path, [np.broadcast_to(light, (HEIGHT, *light.shape))], colours)


def colours_in(path: Path) -> NDArray[np.float64]:
    with VideoReader(path, DecodeSettings(), SamplingSettings(), name="clip") as reader:
        image = next(iter(reader)).image
    return np.array(
        [piece[20:-20, 8:-8].mean(axis=(0, 1)) for piece in np.array_split(image, len(COLOURS), axis=1)]
    )


@pytest.mark.parametrize("colours", [hdr.PQ, hdr.HLG, hdr.BT2020, hdr.P3])
def test_wide_colours_are_mapped(media: Media, colours: Colours) -> None:
    plain = colours_in(patches(media.folder / "plain.mkv", hdr.ORDINARY))
    wide = colours_in(patches(media.folder / "wide.mkv", colours))
    assert np.abs(plain - COLOURS).max() <= 3
    assert np.abs(wide - plain).max() <= 6


GRADED = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L({peak},1):max-cll={cll},400"


def hevc(media: Media, name: str, size: tuple[int, int], peak: int) -> bytes:
    """HEVC in PQ whose mastering display reaches `peak` candelas; 0 for one that says nothing of it."""
    tags = "log-level=none:bframes=0:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"
    graded = ":hdr10=1:" + GRADED.format(peak=10_000 * peak, cll=peak) if peak else ""
    options = {"x265-params": tags + graded}
    clip = media.video(
        name, codec="libx265", pixel_format="yuv420p10le", size=size, frames=4, options=options
    )
    return clip.read_bytes()


def with_hdr10_plus(stream: bytes) -> bytes:
    """Each picture of a raw HEVC stream with dynamic metadata (SMPTE ST 2094-40) of its own."""
    pictures = 0
    out = bytearray()
    for unit in stream.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")[1:]:
        if unit[0] >> 1 < 32:  # a slice: x265 makes one of a picture as small as these
            pictures += 1
            peak = 20_000 + 1_000 * pictures
            bits = f"{1:02b}{1000:027b}0" + 3 * f"{peak:017b}" + f"{peak // 3:017b}{0:04b}{0:010b}000"
            bits += "0" * (-len(bits) % 8)
            t35 = bytes.fromhex("b5003c00010401") + int(bits, 2).to_bytes(len(bits) // 8, "big")
            message = bytes((4, len(t35))) + t35 + b"\x80"
            for zeros in (b"\0\0\0", b"\0\0\1", b"\0\0\2", b"\0\0\3"):  # emulation of a start code
                message = message.replace(zeros, b"\0\0\3" + zeros[2:])
            out += b"\0\0\0\1\x4e\1" + message
        out += b"\0\0\0\1" + unit
    return bytes(out)


def test_what_frames_say_of_their_grading_changes_no_pixel_and_costs_no_table(media: Media) -> None:
    """Phones write HDR10+ for each frame; a mastering display may change, and so may the size."""
    plain = hevc(media, "plain.hevc", (WIDTH, HEIGHT), 0)
    parts = [
        with_hdr10_plus(hevc(media, f"{peak}.hevc", size, peak))
        for peak, size in ((1000, (WIDTH, HEIGHT)), (600, (WIDTH, HEIGHT)), (4000, (2 * WIDTH, HEIGHT)))
    ]
    converted: dict[str, list[bytes]] = {}
    kinds: set[str] = set()
    hald.cache_clear()
    for name, stream in (("plain.hevc", plain), ("graded.hevc", b"".join(parts))):
        path = media.folder / name
        path.write_bytes(stream)
        converter = Converter(None, 10_000_000)
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                kinds |= {side.type.name for side in frame.side_data}
                target = bytearray(3 * frame.width * frame.height)
                converter.write(frame, (frame.width, frame.height), memoryview(target))
                converted.setdefault(name, []).append(bytes(target))
    assert {"DYNAMIC_HDR_PLUS", "MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"} <= kinds
    assert len(converted["graded.hevc"]) == 12
    assert converted["graded.hevc"][:8] == 2 * converted["plain.hevc"]
    assert hald.cache_info().misses == 1


def woven(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """Every second line is from 8 frames later."""
    image = picture(8 * number, width, height)
    image[1::2] = picture(8 * number + 8, width, height)[1::2]
    return image


def test_interlaced_frames_come_out_whole(media: Media) -> None:
    options = {"x264-params": "interlaced=1:tff=1:qp=8"}
    path = media.video("a.mp4", draw=woven, frames=10, options=options)
    with VideoReader(path, DecodeSettings(), SamplingSettings(), name="a.mp4") as reader:
        frames = list(reader)
    assert len(frames) >= 8
    for frame in frames:
        lines = frame.image.astype(np.float64)[20:-4].mean(axis=2)
        comb = np.abs(lines[1:-1] - (lines[:-2] + lines[2:]) / 2).mean()
        assert comb < 4  # woven, the lines lie 16 and more apart
