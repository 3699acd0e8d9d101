"""Every still format in every odd way in which it is stored, in the real decoder process."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from core.errors import MediaTooLarge, UnsupportedMedia
from core.media_formats import SCREENED
from core.outcomes import MediaKind
from core.settings import DecodeSettings, SamplingSettings
from tests.hdr import matrix_profile
from tests.media import number_in, picture
from worker.decoder.reader import DecodeReport, Frame, Probe, VideoReader

pytestmark = pytest.mark.slow

MODES = {
    "JPEG": ("L", "RGB", "CMYK", "YCbCr"),
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "WEBP": ("L", "RGB", "RGBA"),
    "HEIF": ("L", "RGB", "RGBA", "I;16"),
    "AVIF": ("L", "RGB", "RGBA"),
    "GIF": ("1", "L", "P", "RGBA"),
    "BMP": ("1", "L", "P", "RGB", "RGBA"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"),
    "JPEG2000": ("L", "LA", "RGB", "RGBA", "YCbCr", "I;16"),
}


def read(path: Path, **decode: float) -> tuple[list[Frame], Probe, DecodeReport]:
    with VideoReader(path, DecodeSettings(**decode), SamplingSettings(), name=path.name) as reader:
        frames = list(reader)
    assert reader.report is not None
    return frames, reader.probe, reader.report


def only(path: Path, **decode: float) -> np.ndarray:
    frames, _, report = read(path, **decode)
    assert report.coverage == 1.0
    assert len(frames) == 1
    return frames[0].image


def in_mode(number: int, mode: str) -> Image.Image:
    shown = Image.fromarray(picture(number))
    gray = np.asarray(shown.convert("L"))
    match mode:
        case "I;16":
            return Image.fromarray(gray.astype(np.uint16) * 257)
        case "I":
            return Image.fromarray(gray.astype(np.int32) * 257)
        case "F":
            return Image.fromarray(gray.astype(np.float32) / 255)
        case "LAB":
            from PIL import ImageCms

            names = [ImageCms.createProfile(name) for name in ("sRGB", "LAB")]
            return ImageCms.profileToProfile(shown, *names, outputMode="LAB") or shown
    return shown.convert(mode)


@pytest.mark.parametrize(("name", "mode"), [(name, mode) for name, modes in MODES.items() for mode in modes])
def test_a_picture_of_every_format_and_mode(tmp_path: Path, name: str, mode: str) -> None:
    path = tmp_path / "a.bin"
    if name == "HEIF":
        pillow_heif.from_pillow(in_mode(7, mode)).save(path, quality=90)
    else:
        in_mode(7, mode).save(path, format=name, **({"quality": 95} if name in ("JPEG", "AVIF") else {}))
    seen = only(path)
    assert seen.shape == (128, 192, 3)
    assert number_in(seen) == 7
    # Bands of noise and palettes of one bit aside, a viewer sees the same picture.
    if mode not in ("1", "P", "CMYK", "YCbCr", "LAB") and name != "GIF":
        shown = Image.fromarray(picture(7))
        wanted = np.asarray(shown.convert("L") if mode in ("L", "LA", "I", "F", "I;16") else shown)
        assert np.abs(seen.mean() - wanted.mean()) < 4


def test_no_still_format_is_left_out() -> None:
    assert set(MODES) == {each.reader for each in SCREENED if each.kind == MediaKind.IMAGE}


@pytest.mark.parametrize(
    "compression", ["group4", "tiff_ccitt", "tiff_lzw", "tiff_adobe_deflate", "lzma", "zstd"]
)
def test_compressions_of_tiff(tmp_path: Path, compression: str) -> None:
    mode = "1" if compression in ("group4", "tiff_ccitt") else "RGB"
    in_mode(9, mode).save(tmp_path / "a.tif", compression=compression)
    assert number_in(only(tmp_path / "a.tif")) == 9


def test_a_heic_as_an_iphone_writes_it(tmp_path: Path) -> None:
    """Tiles in a grid, turned by its boxes, with a thumbnail, a wrong EXIF and ten bits."""
    stored = np.rot90(picture(300, 384, 256), 1)
    exif = Image.Exif()
    exif[0x0112] = 6
    pillow_heif.from_pillow(Image.fromarray(np.ascontiguousarray(stored))).save(
        tmp_path / "a.heic", quality=90, exif=exif.tobytes(), tile_size=128, thumbnails=[64]
    )
    assert b"grid" in (tmp_path / "a.heic").read_bytes()
    frames, probe, report = read(tmp_path / "a.heic")
    assert number_in(frames[0].image) == 300
    assert (probe.width, probe.height, report.coverage) == (384, 256, 1.0)


def test_the_main_picture_of_a_heic_counts_and_the_others_are_named(tmp_path: Path) -> None:
    file = pillow_heif.HeifFile()
    for number in (1, 2, 3):
        file.add_from_pillow(Image.fromarray(picture(number)))
    file.save(tmp_path / "a.heic", quality=90, primary_index=1)
    frames, _, report = read(tmp_path / "a.heic")
    assert [number_in(frame.image) for frame in frames] == [2]
    assert report.unseen == ("2 other pictures",)
    assert report.coverage == 0.5


@pytest.mark.parametrize(
    ("name", "length"), [("a.webp", 1.0), ("a.avif", 0.4), ("a.gif", 0.7), ("a.png", 0.3)]
)
def test_an_animation_takes_the_time_that_it_says(tmp_path: Path, name: str, length: float) -> None:
    pictures = [Image.fromarray(picture(number)) for number in range(10)]
    pictures[0].save(
        tmp_path / name, save_all=True, append_images=pictures[1:], duration=round(1000 * length), quality=90
    )
    frames, probe, _ = read(tmp_path / name)
    assert (probe.frames, probe.duration_seconds) == (10, pytest.approx(10 * length))
    assert [number_in(f.image) for f in frames] == [round(f.time_seconds / length) for f in frames]


def test_the_largest_page_of_a_tiff_counts_and_the_others_are_named(tmp_path: Path) -> None:
    small, large = Image.fromarray(picture(1)), Image.fromarray(picture(2, 384, 256))
    small.save(tmp_path / "a.tif", save_all=True, append_images=[large, small])
    frames, _, report = read(tmp_path / "a.tif")
    assert [number_in(frame.image) for frame in frames] == [2]
    assert report.unseen == ("page 1", "page 3")
    assert report.coverage == pytest.approx(1 / 3)


def test_the_small_copy_in_a_tiff_is_no_page(tmp_path: Path) -> None:
    small, large = Image.fromarray(picture(1)), Image.fromarray(picture(2, 384, 256))
    small.encoderinfo = {"tiffinfo": {0x00FE: 1}}
    large.save(tmp_path / "a.tif", save_all=True, append_images=[small])
    frames, _, report = read(tmp_path / "a.tif")
    assert ([number_in(frame.image) for frame in frames], report.unseen) == ([2], ())


def test_a_tiff_from_the_sensor_of_a_camera_is_refused_with_what_to_do(tmp_path: Path) -> None:
    Image.fromarray(picture(1)).save(tmp_path / "a.dng", format="TIFF", tiffinfo={0xC612: b"\1\4\0\0"})
    with pytest.raises(UnsupportedMedia, match=r"camera raw .* Develop it and export it as JPEG or PNG"):
        read(tmp_path / "a.dng")


def test_photos_of_48_and_50_megapixels_pass_and_a_bomb_does_not(tmp_path: Path) -> None:
    Image.new("RGB", (8064, 6048), (90, 120, 150)).save(tmp_path / "a.jpg", quality=50)
    assert only(tmp_path / "a.jpg").shape == (6048, 8064, 3)
    Image.new("L", (8192, 6144), 90).save(tmp_path / "b.png")
    assert only(tmp_path / "b.png").shape == (6144, 8192, 3)
    Image.new("1", (16_384, 8192)).save(tmp_path / "bomb.png")
    assert (tmp_path / "bomb.png").stat().st_size < 20_000
    with pytest.raises(MediaTooLarge, match="MAX_PIXELS"):
        read(tmp_path / "bomb.png")


def curve(values: np.ndarray) -> np.ndarray:
    """From sRGB's coded values to light."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def wide(image: np.ndarray, to_wide: list[list[float]], gamma: float) -> np.ndarray:
    light = np.clip(curve(image / 255) @ np.linalg.inv(np.array(to_wide)).T, 0, 1)
    return np.round(255 * light ** (1 / gamma)).astype(np.uint8)


# Columns of sRGB and of ProPhoto in XYZ of D50.
SRGB_XYZ = [[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]]
PROPHOTO_XYZ = [[0.7977, 0.1352, 0.0313], [0.2880, 0.7119, 0.0001], [0.0, 0.0, 0.8249]]


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif", "a.avif", "a.heic"])
def test_a_wide_gamut_is_seen_as_srgb(tmp_path: Path, name: str) -> None:
    to_srgb = (np.linalg.inv(np.array(SRGB_XYZ)) @ np.array(PROPHOTO_XYZ)).tolist()
    stored = Image.fromarray(wide(picture(77), to_srgb, 1.8))
    profile = matrix_profile(PROPHOTO_XYZ, 1.8)
    if name == "a.heic":
        made = pillow_heif.from_pillow(stored)
        made.info["icc_profile"] = profile
        made.save(tmp_path / name, quality=95)
    else:
        stored.save(tmp_path / name, quality=95, icc_profile=profile)
    seen = only(tmp_path / name).astype(int)
    assert np.abs(seen - picture(77)).mean() < 6
    assert np.abs(np.asarray(stored, int) - picture(77)).mean() > 20


@pytest.mark.parametrize("profile", [b"", b"no profile", bytes(200), matrix_profile(SRGB_XYZ, 2.2)[:300]])
def test_a_broken_profile_is_passed_over(tmp_path: Path, profile: bytes) -> None:
    Image.fromarray(picture(5)).save(tmp_path / "a.png", icc_profile=profile)
    np.testing.assert_array_equal(only(tmp_path / "a.png"), picture(5))


def with_chunk(png: bytes, kind: bytes, body: bytes) -> bytes:
    """`png` with one more chunk behind its header."""
    chunk = struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))
    return png[:33] + chunk + png[33:]


def pq(light: np.ndarray) -> np.ndarray:
    power = (light / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def hlg(light: np.ndarray) -> np.ndarray:
    """From light on a screen of 1000 cd/m2, gray for gray."""
    scene = (light / 1000) ** (1 / 1.2)
    return np.where(
        scene <= 1 / 12,
        np.sqrt(3 * scene),
        0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073,
    )


@pytest.mark.parametrize(("transfer", "coded"), [(16, pq), (18, hlg)])
def test_high_dynamic_range_is_seen_as_srgb(tmp_path: Path, transfer: int, coded: object) -> None:
    gray = np.repeat(picture(40).mean(axis=2, keepdims=True), 3, axis=2)
    values = np.clip(coded(203 * curve(gray / 255)), 0, 1)  # type: ignore[operator]
    stored = io.BytesIO()
    Image.fromarray(np.round(255 * values).astype(np.uint8)).save(stored, "PNG")
    (tmp_path / "a.png").write_bytes(with_chunk(stored.getvalue(), b"cICP", bytes([9, transfer, 0, 1])))
    seen = only(tmp_path / "a.png").astype(float)
    middle = gray < 200  # what is brighter is pressed together, so that lights have room
    assert np.abs(seen - gray)[middle].mean() < 4
    assert seen[~middle].min() > 180
