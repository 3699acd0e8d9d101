"""Small valid files of every container and still that is screened, with a real face in each.

They are what mutations start from: a parser is best attacked by what it almost understands.
"""

import io
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pillow_heif
from PIL import Image
from skimage.data import astronaut

from fuzz.scheduling import scheduling_kept

os.environ.setdefault("SVT_LOG", "1")  # the AV1 encoder's errors alone; it would print its settings

FRAMES, RATE = 12, 6
SIDE = 160  # pixels; the face fills half of it
FACE = (slice(20, 20 + 2 * SIDE), slice(60, 60 + 2 * SIDE))  # of the photograph: rows, columns


@dataclass(frozen=True, kw_only=True)
class Seed:
    name: str  # with the suffix that people would give it
    content: bytes


# Muxer of libav, suffix, encoder, pixel format.
VIDEOS = (
    ("mp4", "mp4", "libx264", "yuv420p"),
    ("mp4", "mp4", "libx265", "yuv420p"),
    ("mp4", "mp4", "libsvtav1", "yuv420p"),
    ("mov", "mov", "prores_ks", "yuv422p10le"),
    ("mov", "mov", "mjpeg", "yuvj420p"),
    ("3gp", "3gp", "mpeg4", "yuv420p"),
    ("matroska", "mkv", "libx264", "yuv420p"),
    ("matroska", "mkv", "ffv1", "yuv420p"),
    ("webm", "webm", "libvpx", "yuv420p"),
    ("webm", "webm", "libvpx-vp9", "yuv420p"),
    ("avi", "avi", "mpeg4", "yuv420p"),
    ("avi", "avi", "mjpeg", "yuvj420p"),
    ("mpegts", "ts", "libx264", "yuv420p"),
    ("mpegts", "ts", "mpeg2video", "yuv420p"),
    ("flv", "flv", "flv", "yuv420p"),
    ("flv", "flv", "libx264", "yuv420p"),
    ("asf", "wmv", "wmv2", "yuv420p"),
    ("mpeg", "mpg", "mpeg2video", "yuv420p"),
    ("h264", "h264", "libx264", "yuv420p"),
    ("hevc", "h265", "libx265", "yuv420p"),
    ("ogg", "ogv", "libvpx", "yuv420p"),
    ("mxf", "mxf", "mpeg2video", "yuv420p"),
    ("mpeg2video", "m2v", "mpeg2video", "yuv420p"),
    ("ivf", "ivf", "libvpx", "yuv420p"),
    ("dv", "dv", "dvvideo", "yuv420p"),
)
TELEVISION = ("mpeg", "mxf", "mpeg2video", "dv")  # muxers that know its frame rates alone
DV_SIZE = (720, 576)  # pixels; it knows no other

# Name, Pillow's format, mode, options of its writer.
STILLS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("photo.jpg", "JPEG", "RGB", {"quality": 85}),
    ("print.jpg", "JPEG", "CMYK", {"quality": 85}),
    ("progressive.jpg", "JPEG", "L", {"progressive": True}),
    ("photo.png", "PNG", "RGB", {}),
    ("palette.png", "PNG", "P", {}),
    ("photo.webp", "WEBP", "RGB", {"quality": 80}),
    ("photo.gif", "GIF", "P", {}),
    ("photo.bmp", "BMP", "RGB", {}),
    ("lzw.tif", "TIFF", "RGB", {"compression": "tiff_lzw"}),
    ("jpeg.tif", "TIFF", "RGB", {"compression": "jpeg"}),
    ("photo.avif", "AVIF", "RGB", {"quality": 70}),
    ("photo.heic", "HEIF", "RGB", {}),
    ("photo.jp2", "JPEG2000", "RGB", {}),
)
ANIMATIONS = (("gif", "GIF"), ("webp", "WEBP"), ("png", "PNG"))


def seeds() -> list[Seed]:
    """Every seed; the same bytes at every call but for what encoders put in of themselves."""
    return [*_videos(), *_stills(), *_animations(), _mpo(), _motion_photo()]


def frames() -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """FRAMES pictures, uint8 (SIDE, SIDE, 3) RGB, of a face that moves a little."""
    photograph = np.asarray(Image.fromarray(astronaut()[FACE]).resize((SIDE + FRAMES, SIDE + FRAMES)))
    return [photograph[number : number + SIDE, number : number + SIDE] for number in range(FRAMES)]


def _videos() -> Iterator[Seed]:
    for muxer, suffix, encoder, pixel_format in VIDEOS:
        yield Seed(name=f"{encoder}.{suffix}", content=_encoded(muxer, encoder, pixel_format, {}))
    fragments = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    yield Seed(name="fragmented.mp4", content=_encoded("mp4", "libx264", "yuv420p", fragments))
    yield Seed(name="faststart.mp4", content=_encoded("mp4", "libx264", "yuv420p", {"movflags": "faststart"}))


def _encoded(muxer: str, encoder: str, pixel_format: str, options: dict[str, str]) -> bytes:
    with tempfile.NamedTemporaryFile() as target:  # a file with a name: one muxer opens it a second time
        _encode(target.name, muxer, encoder, pixel_format, options)
        return Path(target.name).read_bytes()


def _encode(target: str, muxer: str, encoder: str, pixel_format: str, options: dict[str, str]) -> None:
    with scheduling_kept(), av.open(target, "w", format=muxer, options=options) as container:
        rate = Fraction(25 if muxer in TELEVISION else RATE)
        size = DV_SIZE if muxer == "dv" else (SIDE, SIDE)
        stream: Any = container.add_stream(encoder, rate=rate)
        (stream.width, stream.height), stream.pix_fmt = size, pixel_format
        if encoder == "libx265":
            stream.options = {"x265-params": "log-level=none", "g": "4"}
        elif encoder == "libx264":
            stream.options = {"g": "4", "preset": "veryfast"}
        for number, picture in enumerate(frames()):
            scaled = np.asarray(Image.fromarray(picture).resize(size))
            frame = av.VideoFrame.from_ndarray(scaled, format="rgb24")
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _stills() -> Iterator[Seed]:
    pillow_heif.register_heif_opener()
    for name, writer, mode, options in STILLS:
        target = io.BytesIO()
        Image.fromarray(frames()[0]).convert(mode).save(target, writer, **options)
        yield Seed(name=name, content=target.getvalue())


def _animations() -> Iterator[Seed]:
    pictures = [Image.fromarray(picture) for picture in frames()[:4]]
    for suffix, name in ANIMATIONS:
        target = io.BytesIO()
        pictures[0].save(target, name, save_all=True, append_images=pictures[1:], duration=200)
        yield Seed(name=f"animated.{suffix}", content=target.getvalue())


def _mpo() -> Seed:
    target = io.BytesIO()
    first, second = (Image.fromarray(picture) for picture in frames()[:2])
    first.save(target, "MPO", save_all=True, append_images=[second])
    return Seed(name="pair.jpg", content=target.getvalue())


def _motion_photo() -> Seed:
    target = io.BytesIO()
    Image.fromarray(frames()[0]).save(target, "JPEG")
    video = _encoded("mp4", "libx264", "yuv420p", {})
    return Seed(name="motion.jpg", content=target.getvalue() + video)
