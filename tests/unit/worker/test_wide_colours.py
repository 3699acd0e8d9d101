"""HDR and wide colours come out as the same picture in ordinary ones; interlaced frames come out whole."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from core.settings import DecodeSettings, SamplingSettings
from tests.media import Media, picture
from worker.conversion import Converter
from worker.decode import VideoReader
from worker.wide_colours import hald

COLOURS = np.array(
    [(224, 172, 140), (120, 80, 60), (60, 120, 90), (50, 70, 160), (128, 128, 128), (30, 30, 30)]
)
WIDTH, HEIGHT = 192, 128

# From linear BT.709 to linear BT.2020 (ITU-R BT.2087) and to linear Display P3 (SMPTE EG 432-1).
TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
TO_P3 = np.array([[0.8225, 0.1774, 0.0], [0.0332, 0.9669, 0.0], [0.0171, 0.0724, 0.9108]])


def linear(colours: NDArray[Any]) -> NDArray[np.float64]:
    """The light of a screen (ITU-R BT.1886), white being 1: what BT.2408 turns into HDR."""
    light: NDArray[np.float64] = (colours / 255.0) ** 2.4
    return light


def pq(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """SMPTE ST 2084, white being 203 candelas (ITU-R BT.2408)."""
    power = np.clip(light * 203 / 10_000, 0, 1) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def hlg(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """ITU-R BT.2100, white at three quarters of the signal; the system's gamma is undone on the luminance."""
    display = np.clip(light * 203 / 1000, 0, 1)
    luminance = display @ np.array([0.2627, 0.6780, 0.0593])
    scene = display * np.maximum(luminance, 1e-6)[..., None] ** (1 / 1.2 - 1)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)


def sdr(light: NDArray[np.float64]) -> NDArray[np.float64]:
    signal: NDArray[np.float64] = np.clip(light, 0, 1) ** (1 / 2.4)
    return signal


def clip(path: Path, signal: NDArray[np.float64], *, curve: int, primaries: int, matrix: int) -> Path:
    """Patches of `signal` (n, 3), non-linear RGB in [0, 1], as 10 bit YCbCr with these tags (ITU-T H.273)."""
    rows = np.repeat(signal, WIDTH // len(signal), axis=0)
    image = np.broadcast_to(rows, (HEIGHT, *rows.shape))
    red, blue = {9: (0.2627, 0.0593), 1: (0.2126, 0.0722)}[matrix]
    luma = image @ np.array([red, 1 - red - blue, blue])
    cb, cr = (image[..., 2] - luma) / (2 * (1 - blue)), (image[..., 0] - luma) / (2 * (1 - red))
    planes = [64 + 876 * luma, 512 + 896 * cb, 512 + 896 * cr]
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv444p10le"
        context = stream.codec_context
        context.color_trc, context.color_primaries = curve, primaries
        context.colorspace, context.color_range = matrix, 1
        frame = av.VideoFrame(WIDTH, HEIGHT, "yuv444p10le")
        for plane, values in zip(frame.planes, planes, strict=True):
            padded = np.zeros((HEIGHT, plane.line_size // 2), np.uint16)
            padded[:, :WIDTH] = values.round()
            plane.update(padded.tobytes())
        frame.color_trc, frame.color_primaries, frame.colorspace, frame.color_range = (
            curve,
            primaries,
            matrix,
            1,
        )
        frame.pts = 0
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def colours_in(path: Path) -> NDArray[np.float64]:
    with VideoReader(path, DecodeSettings(), SamplingSettings(), name="clip") as reader:
        image = next(iter(reader)).image
    return np.array(
        [piece[20:-20, 8:-8].mean(axis=(0, 1)) for piece in np.array_split(image, len(COLOURS), axis=1)]
    )


@pytest.mark.parametrize(
    ("name", "curve", "primaries", "signal"),
    [
        ("pq.mkv", 16, 9, pq(linear(COLOURS) @ TO_BT2020.T)),
        ("hlg.mkv", 18, 9, hlg(linear(COLOURS) @ TO_BT2020.T)),
        ("bt2020.mkv", 1, 9, sdr(linear(COLOURS) @ TO_BT2020.T)),
        ("p3.mkv", 1, 12, sdr(linear(COLOURS) @ TO_P3.T)),
    ],
)
def test_wide_colours_are_mapped(
    media: Media, name: str, curve: int, primaries: int, signal: NDArray[np.float64]
) -> None:
    plain = clip(media.folder / "plain.mkv", COLOURS / 255, curve=1, primaries=1, matrix=1)
    wide = clip(
        media.folder / name, signal, curve=curve, primaries=primaries, matrix=9 if primaries == 9 else 1
    )
    assert np.abs(colours_in(plain) - COLOURS).max() <= 3
    assert np.abs(colours_in(wide) - colours_in(plain)).max() <= 16


GRADED = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L({peak},1):max-cll={cll},400"


def hdr10(media: Media, name: str, size: tuple[int, int], peak: int) -> bytes:
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
    plain = hdr10(media, "plain.hevc", (WIDTH, HEIGHT), 0)
    parts = [
        with_hdr10_plus(hdr10(media, f"{peak}.hevc", size, peak))
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
