import io
import struct
import zlib
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from core.errors import BrokenMedia, InputError, MediaTooLarge
from core.settings import DecodeSettings, SamplingSettings
from tests.media import number_in, picture
from worker.decoder.reader import DecodeReport, Frame, Probe, VideoReader

pytestmark = pytest.mark.slow


def read(path: Path, **decode: float) -> tuple[list[Frame], Probe, DecodeReport]:
    with VideoReader(path, DecodeSettings(**decode), SamplingSettings(), name=path.name) as reader:
        frames = list(reader)
    assert reader.report is not None
    return frames, reader.probe, reader.report


def png(width: int, height: int) -> bytes:
    """A PNG whose header promises `width` x `height` and which holds next to nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tiff", "lossless.webp", "a.jpg", "a.gif"])
def test_a_still_is_a_video_of_one_frame(tmp_path: Path, name: str) -> None:
    Image.fromarray(picture(5)).save(tmp_path / name, lossless=True, quality=95)
    frames, probe, report = read(tmp_path / name)
    assert [number_in(frame.image) for frame in frames] == [5]
    assert (frames[0].time_seconds, frames[0].keyframe, frames[0].damaged) == (0.0, True, False)
    assert (report.coverage, probe.frames, probe.duration_seconds, probe.frame_rate) == (1.0, 1, 0.0, None)
    if name.endswith(("png", "bmp", "tiff", "webp")):
        np.testing.assert_array_equal(frames[0].image, picture(5))


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"])
def test_compressed_tiff(tmp_path: Path, compression: str) -> None:
    Image.fromarray(picture(9)).save(tmp_path / "a.tiff", compression=compression)
    assert number_in(read(tmp_path / "a.tiff")[0][0].image) == 9


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tiff"])
def test_orientation_of_phones_is_applied(tmp_path: Path, name: str, orientation: int) -> None:
    turns = {
        1: lambda image: image,
        2: lambda image: image[:, ::-1],
        3: lambda image: image[::-1, ::-1],
        4: lambda image: image[::-1],
        5: lambda image: image.transpose(1, 0, 2),
        6: lambda image: np.rot90(image, 1),
        7: lambda image: np.rot90(image, 2).transpose(1, 0, 2),
        8: lambda image: np.rot90(image, -1),
    }
    stored = np.ascontiguousarray(turns[orientation](picture(700)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / name, exif=exif, quality=95)
    frames, probe, _ = read(tmp_path / name)
    assert number_in(frames[0].image) == 700
    assert (probe.width, probe.height) == (192, 128)


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "CMYK", "YCbCr", "I;16"])
def test_modes(tmp_path: Path, mode: str) -> None:
    gray = Image.fromarray(picture(3)).convert("L")
    image = (
        Image.fromarray(np.asarray(gray, np.uint16) * 257)
        if mode == "I;16"
        else gray.convert("RGB").convert(mode)
    )
    path = tmp_path / ("a.tiff" if mode in ("CMYK", "YCbCr") else "a.png")
    image.save(path)
    frame = read(path)[0][0].image
    assert frame.shape == (128, 192, 3)
    assert number_in(frame) == 3
    if mode not in ("1", "P", "CMYK"):
        assert np.abs(frame.astype(int) - np.asarray(gray.convert("RGB"), int)).max() <= 3


def test_transparency_is_seen_over_white(tmp_path: Path) -> None:
    image = Image.fromarray(picture(0)).convert("RGBA")
    image.putalpha(0)
    image.save(tmp_path / "a.png")
    assert read(tmp_path / "a.png")[0][0].image.min() == 255


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_an_animation_is_sampled_like_a_video(tmp_path: Path, name: str) -> None:
    pictures = [Image.fromarray(picture(number)) for number in range(40)]
    pictures[0].save(tmp_path / name, save_all=True, append_images=pictures[1:], duration=250, lossless=True)
    frames, probe, report = read(tmp_path / name)
    assert (probe.frames, report.expected, report.coverage) == (40, 20, 1.0)
    assert [number_in(frame.image) for frame in frames] == [round(f.time_seconds * 4) for f in frames]
    assert frames[-1].time_seconds > 9


def test_a_gif_that_ends_within_a_frame(tmp_path: Path) -> None:
    """Pillow's own count of its frames raises an IndexError there."""
    pictures = [Image.fromarray(picture(number)) for number in range(20)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=500)
    content = (tmp_path / "a.gif").read_bytes()
    starts = [at for at in range(len(content) - 9) if content[at : at + 5] == b"," + bytes(4)]
    (tmp_path / "a.gif").write_bytes(content[: starts[len(starts) // 2] + 10])
    frames, _, report = read(tmp_path / "a.gif")
    assert 2 <= len(frames) < 20
    assert report.coverage <= 1.0


def test_a_jpeg_with_a_second_picture_behind_the_first(tmp_path: Path) -> None:
    first, second = Image.fromarray(picture(1)), Image.fromarray(picture(2))
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[second], quality=95)
    frames, *_ = read(tmp_path / "a.jpg")
    assert [number_in(frame.image) for frame in frames] == [1]


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (5000, 3)])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, (10, 20, 30)).save(tmp_path / "a.png")
    frames, probe, _ = read(tmp_path / "a.png")
    assert frames[0].image.shape == (size[1], size[0], 3)
    assert (probe.width, probe.height) == size


def test_a_header_that_promises_too_many_pixels(tmp_path: Path) -> None:
    """Refused before anything is allocated: the decoder would not get past its memory limit."""
    jpeg = io.BytesIO()
    Image.fromarray(picture(0)).save(jpeg, "JPEG")
    forged = bytearray(jpeg.getvalue())
    at = forged.index(b"\xff\xc0") + 5
    forged[at : at + 4] = struct.pack(">HH", 16384, 16384)
    webp = io.BytesIO()
    Image.fromarray(picture(0)).save(webp, "WEBP")
    lossy = bytearray(webp.getvalue())
    at = lossy.index(b"\x9d\x01\x2a") + 3
    lossy[at : at + 4] = struct.pack("<HH", 16383, 16383)
    for name, content in {"a.png": png(16384, 16384), "a.jpg": forged, "a.webp": lossy}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(MediaTooLarge, match=r"268\d+ pixels.*FACEWARDEN_DECODE__MAX_PIXELS"):
            read(tmp_path / name, memory_bytes=600 * 1024**2)


def test_the_cap_is_exact(tmp_path: Path) -> None:
    Image.new("RGB", (100, 100)).save(tmp_path / "a.png")
    assert len(read(tmp_path / "a.png", max_pixels=10_000)[0]) == 1
    with pytest.raises(MediaTooLarge, match="10000 pixels"):
        read(tmp_path / "a.png", max_pixels=9_999)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_a_picture_that_was_cut_off_is_seen_as_far_as_it_goes(tmp_path: Path, name: str) -> None:
    Image.fromarray(picture(1)).save(tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) * 2 // 3])
    frames, _, report = read(tmp_path / name)
    assert [frame.damaged for frame in frames] == [True]
    assert report.coverage == 0.0
    assert number_in(frames[0].image) == 1


def test_next_to_nothing(tmp_path: Path) -> None:
    for name, content in {
        "a.png": b"\x89PNG\r\n\x1a\n",
        "a.jpg": b"\xff\xd8\xff",
        "a.gif": b"GIF89a",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BrokenMedia):
            read(tmp_path / name)


@pytest.mark.parametrize("seed", range(10))
def test_damage_anywhere_is_survived(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    path = tmp_path / random.choice(["a.jpg", "a.png", "a.gif", "a.webp", "a.bmp", "a.tiff"])
    Image.fromarray(picture(0)).save(path)
    content = bytearray(path.read_bytes())
    for _ in range(random.choice([1, 10, 100])):
        content[random.randrange(12, len(content))] = random.randrange(256)
    path.write_bytes(content)
    try:
        assert len(read(path)[0]) == 1
    except InputError as error:
        assert str(error)
