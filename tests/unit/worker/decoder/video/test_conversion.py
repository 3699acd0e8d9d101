"""Colours, ranges and shapes of pixels."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from core.settings import DecodeSettings, SamplingSettings
from tests.media import Media
from worker.decoder.reader import VideoReader
from worker.decoder.video.conversion import Converter

COLOURS = ((255, 255, 255), (0, 0, 0), (200, 60, 60), (60, 160, 90), (40, 60, 220), (224, 172, 140))


def patches(number: int, width: int, height: int) -> NDArray[np.uint8]:
    del number
    image = np.zeros((height, width, 3), np.uint8)
    for i, colour in enumerate(COLOURS):
        image[:, i * width // len(COLOURS) : (i + 1) * width // len(COLOURS)] = colour
    return image


def first_frame(path: Path) -> NDArray[np.uint8]:
    with VideoReader(path, DecodeSettings(), SamplingSettings(), name="clip") as reader:
        return next(iter(reader)).image


def colours_in(image: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Mean colour of the middle of each patch."""
    pieces = np.array_split(image, len(COLOURS), axis=1)
    return np.array([p[20:-20, 8:-8].mean(axis=(0, 1)).round() for p in pieces]).astype(np.int64)


@pytest.mark.parametrize(
    ("codec", "pixel_format"),
    [
        ("libx264", "yuv420p"),
        ("libx264", "yuvj420p"),
        ("libx264", "yuv422p"),
        ("libx264", "yuv444p"),
        ("libx264", "yuv420p10le"),
        ("libx264", "yuv422p10le"),
        ("libx265", "yuv420p12le"),
        ("libx265", "gbrp"),
        ("mjpeg", "yuvj422p"),
        ("prores", "yuv422p10le"),
        ("png", "rgb24"),
        ("png", "rgba"),
        ("ffv1", "gbrp10le"),
    ],
)
def test_colours_survive(media: Media, codec: str, pixel_format: str) -> None:
    options = {"x265-params": "log-level=none:lossless=1"} if codec == "libx265" else {}
    options |= {"qp": "0"} if codec == "libx264" else {}
    # HEVC in MPEG-TS, which needs no parameter sets before the first packet.
    name = {"ffv1": "a.mkv", "libx265": "a.ts"}.get(codec, "a.mov")
    clip = media.video(name, codec=codec, pixel_format=pixel_format, frames=2, draw=patches, options=options)
    assert np.abs(colours_in(first_frame(clip)) - np.array(COLOURS)).max() <= 4


@pytest.mark.parametrize(("codec", "pixel_format"), [("libx264", "gray"), ("ffv1", "gray16le")])
def test_grayscale(media: Media, codec: str, pixel_format: str) -> None:
    clip = media.video("a.mkv", codec=codec, pixel_format=pixel_format, frames=2, draw=patches)
    image = first_frame(clip)
    assert image.shape == (128, 192, 3)
    assert np.abs(image.astype(int) - image[..., :1]).max() <= 1
    luma = np.array(COLOURS) @ np.array([0.299, 0.587, 0.114])
    # H.264 in gray carries no tag for its full range and is read as limited: contrast rises a little.
    assert np.abs(colours_in(image)[:, 0] - luma).max() <= (12 if codec == "libx264" else 2)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", [1, 5])  # BT.709, BT.601
def test_tagged_range_and_matrix_are_obeyed(media: Media, full: bool, matrix: int) -> None:
    path = media.folder / "a.mkv"
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 192, 128, "yuv444p"
        stream.codec_context.color_range = 2 if full else 1
        stream.codec_context.colorspace = matrix
        frame = av.VideoFrame.from_ndarray(patches(0, 192, 128), format="rgb24").reformat(
            format="yuv444p", dst_colorspace=matrix, dst_color_range=2 if full else 1
        )
        frame.colorspace, frame.color_range = matrix, 2 if full else 1
        frame.pts = 0
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    assert np.abs(colours_in(first_frame(path)) - np.array(COLOURS)).max() <= 4


def test_pixels_that_are_not_square_are_stretched(media: Media) -> None:
    """As of DVDs and old camcorders: without it every face is thin, and a detector at a loss."""
    path = media.folder / "a.mp4"
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 144, 108, "yuv444p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        for number in range(2):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(patches(number, 144, 108), format="rgb24")))
        output.mux(stream.encode(None))
    image = first_frame(path)
    assert image.shape == (108, 192, 3)
    assert np.abs(colours_in(image) - np.array(COLOURS)).max() <= 6


@pytest.mark.parametrize(
    ("aspect", "width"),
    [(None, 100), (Fraction(1), 100), (Fraction(81, 80), 100), (Fraction(2), 200), (Fraction(1000), 100)],
)
def test_forged_shapes_of_pixels_are_ignored(aspect: Fraction | None, width: int) -> None:
    picture = av.VideoFrame(100, 50, "yuv420p")
    assert Converter(aspect, 1_000_000).size(picture) == (width, 50)
    assert Converter(aspect, 100 * 50).size(picture) == (100, 50)


@pytest.mark.parametrize("width", [1, 2, 15, 16, 17, 333])
def test_rows_are_written_without_gaps(width: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, width, 3), dtype=np.uint8)
    target = bytearray(pixels.nbytes)
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    Converter(None, 1_000_000).write(frame, (width, 5), memoryview(target))
    assert bytes(target) == pixels.tobytes()


def test_forged_colour_tags_are_survived() -> None:
    picture = av.VideoFrame.from_ndarray(np.full((16, 16, 3), 200, np.uint8), format="rgb24").reformat(
        format="yuv420p"
    )
    for tag in range(16):
        picture.colorspace, picture.color_trc, picture.color_primaries = tag, tag, tag
        target = bytearray(16 * 16 * 3)
        Converter(None, 1_000_000).write(picture, (16, 16), memoryview(target))
        assert max(target) > 0
