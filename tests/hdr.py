"""Pictures in high dynamic range and in wide gamuts, made of ordinary ones by the standards' formulas."""

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# From linear BT.709 to linear BT.2020 (ITU-R BT.2087) and to linear Display P3 (SMPTE EG 432-1).
TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
TO_P3 = np.array([[0.8225, 0.1774, 0.0], [0.0332, 0.9669, 0.0], [0.0171, 0.0724, 0.9108]])

LUMA = {1: (0.2126, 0.0722), 9: (0.2627, 0.0593)}  # of red and blue, by matrix


def bt1886(signal: Floats) -> Floats:
    """The light of a screen, white being 1: what BT.2408 turns into HDR."""
    light: Floats = signal**2.4
    return light


def srgb(signal: Floats) -> Floats:
    return np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)


def pq(light: Floats) -> Floats:
    """SMPTE ST 2084, white being 203 candelas (ITU-R BT.2408)."""
    power = np.clip(light * 203 / 10_000, 0, 1) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def hlg(light: Floats) -> Floats:
    """ITU-R BT.2100, white at three quarters of the signal; the system's gamma is undone on the luminance."""
    display = np.clip(light * 203 / 1000, 0, 1)
    luminance = display @ np.array([0.2627, 0.6780, 0.0593])
    scene = display * np.maximum(luminance, 1e-6)[..., None] ** (1 / 1.2 - 1)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)


def sdr(light: Floats) -> Floats:
    signal: Floats = np.clip(light, 0, 1) ** (1 / 2.4)
    return signal


@dataclass(frozen=True, kw_only=True)
class Colours:
    """How light is coded; numbers by ITU-T H.273."""

    curve: int
    primaries: int
    matrix: int
    code: Callable[[Floats], Floats]  # from linear light of these primaries to the signal
    gamut: Floats | None = None  # from linear BT.709 to its primaries; None where they are the same

    def signal(self, light: Floats) -> Floats:
        """From linear BT.709."""
        return self.code(light if self.gamut is None else light @ self.gamut.T)


ORDINARY = Colours(curve=1, primaries=1, matrix=1, code=sdr)
PQ = Colours(curve=16, primaries=9, matrix=9, code=pq, gamut=TO_BT2020)
HLG = Colours(curve=18, primaries=9, matrix=9, code=hlg, gamut=TO_BT2020)
BT2020 = Colours(curve=1, primaries=9, matrix=9, code=sdr, gamut=TO_BT2020)
P3 = Colours(curve=1, primaries=12, matrix=1, code=sdr, gamut=TO_P3)


def coded(light: Floats, colours: Colours) -> av.VideoFrame:
    """Linear BT.709 (height, width, 3) as 10 bit YCbCr with all its tags."""
    image = colours.signal(light)
    red, blue = LUMA[colours.matrix]
    luma = image @ np.array([red, 1 - red - blue, blue])
    cb, cr = (image[..., 2] - luma) / (2 * (1 - blue)), (image[..., 0] - luma) / (2 * (1 - red))
    height, width = luma.shape
    frame = av.VideoFrame(width, height, "yuv444p10le")
    for plane, values in zip(frame.planes, (64 + 876 * luma, 512 + 896 * cb, 512 + 896 * cr), strict=True):
        padded = np.zeros((height, plane.line_size // 2), np.uint16)
        padded[:, :width] = values.round()
        plane.update(padded.tobytes())
    tag(frame, colours)
    return frame


def tag(target: Any, colours: Colours) -> None:
    """Of a frame or an encoder."""
    target.color_trc, target.color_primaries = colours.curve, colours.primaries
    target.colorspace, target.color_range = colours.matrix, 1


def write(
    path: Path,
    frames: Sequence[Floats],
    colours: Colours,
    *,
    codec: str = "ffv1",
    pixel_format: str = "yuv444p10le",
    options: Mapping[str, str] | None = None,
    rate: int = 25,
) -> Path:
    """A clip, or an AVIF, of pictures in linear BT.709."""
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream(codec, rate=rate, options=dict(options or {}))
        stream.height, stream.width, _ = frames[0].shape
        stream.pix_fmt = pixel_format
        tag(stream.codec_context, colours)
        for number, light in enumerate(frames):
            frame = coded(light, colours).reformat(format=pixel_format)
            tag(frame, colours)
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def matrix_profile(primaries: list[list[float]], gamma: float) -> bytes:
    """An ICC profile of three columns (D50, XYZ) and one gamma."""

    def xyz(values: list[float]) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(65536 * value) for value in values))

    tags = {b"wtpt": xyz([0.9642, 1.0, 0.8249]), b"cprt": b"text\0\0\0\0none\0"}
    tags[b"desc"] = b"desc\0\0\0\0" + struct.pack(">L", 5) + b"wide\0" + bytes(78)
    for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), np.array(primaries).T.tolist(), strict=True):
        tags[name] = xyz(column)
    for name in (b"rTRC", b"gTRC", b"bTRC"):
        tags[name] = b"curv\0\0\0\0" + struct.pack(">LH", 1, round(256 * gamma))
    table, body, at = b"", b"", 132 + 12 * len(tags)
    for name, content in tags.items():
        padded = content + bytes(-len(content) % 4)
        table += name + struct.pack(">LL", at + len(body), len(content))
        body += padded
    head = struct.pack(">L4sL4s4s4s", at + len(body), b"lcms", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061) + bytes(48)
    return head + struct.pack(">L", len(tags)) + table + body
