"""What is said beside the pixels never spoils a picture."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from core.settings import DecodeSettings, SamplingSettings
from tests.media import number_in, picture
from tests.unit.worker.test_still_kinds import with_chunk
from worker.decoder.reader import VideoReader
from worker.decoder.stills.metadata import carve, orientation_in

pytestmark = pytest.mark.slow

NAMES = ("a.jpg", "a.png", "a.webp", "a.tif", "a.avif", "a.heic")


def pixels(path: Path) -> np.ndarray:
    """Of a picture that must come whole."""
    with VideoReader(path, DecodeSettings(), SamplingSettings(), name=path.name) as reader:
        frames = list(reader)
    assert [frame.damaged for frame in frames] == [False]
    return frames[0].image


def written(path: Path, **more: bytes) -> Path:
    if path.suffix == ".heic":
        made = pillow_heif.from_pillow(Image.fromarray(picture(5)))
        made.info.update(more)
        made.save(path, quality=90)
    else:
        Image.fromarray(picture(5)).save(path, quality=90, **more)
    return path


def exif(*, kind: int = 3, count: int = 1, orientation: int = 6, entries: int = 2) -> bytes:
    """EXIF with a resolution that is text, and an orientation of a TIFF type of your choice."""
    values = struct.pack(">HHL4s", 0x011A, 2, 4, b"abc\0")
    values += struct.pack(">HHLH2x", 0x0112, kind, count, orientation)
    return b"Exif\0\0MM\0*" + struct.pack(">LH", 8, entries) + values + bytes(4)


BROKEN = [
    b"",
    b"Exif",
    b"Exif\0\0II*\0",
    b"Exif\0\0MM\0*\xff\xff\xff\xff",
    exif(entries=65535, orientation=1),
    bytes(70),
]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "a.tif"])
@pytest.mark.parametrize("remark", BROKEN)
def test_broken_exif_changes_nothing(tmp_path: Path, name: str, remark: bytes) -> None:
    clean = pixels(written(tmp_path / name))
    if name == "a.png":
        content = with_chunk((tmp_path / name).read_bytes(), b"eXIf", remark.removeprefix(b"Exif\0\0"))
    elif name == "a.jpg":
        content = (tmp_path / name).read_bytes()
        content = content[:2] + b"\xff\xe1" + struct.pack(">H", len(remark) + 2) + remark + content[2:]
    else:
        content = with_exif(tmp_path / name, remark)
    (tmp_path / name).write_bytes(content)
    np.testing.assert_array_equal(pixels(tmp_path / name), clean)


def with_exif(path: Path, remark: bytes) -> bytes:
    """The file with EXIF of the right length, which is then written over: writers would refuse it."""
    marked = b"Exif\0\0MM\0*\0\0\0\x08" + bytes(6) + b"\x99" * max(len(remark), 20)
    content = written(path, exif=marked).read_bytes()
    at = content.index(b"\x99" * 20) - 14
    return content[:at] + remark + content[at + len(remark) :]


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_the_orientation_is_read_whatever_stands_beside_it(tmp_path: Path, name: str) -> None:
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(picture(700), 1)))
    turned.save(tmp_path / name, quality=90, exif=exif(entries=2))
    assert number_in(pixels(tmp_path / name)) == 700


@pytest.mark.parametrize("kind", [1, 3, 4, 8, 9])
@pytest.mark.parametrize("order", [">", "<"])
def test_an_orientation_of_any_whole_type(kind: int, order: str) -> None:
    value = struct.pack(order + {1: "B3x", 3: "H2x", 4: "L", 8: "h2x", 9: "l"}[kind], 8)
    head = {">": b"MM\0*", "<": b"II*\0"}[order]
    entry = struct.pack(order + "HHL", 0x0112, kind, 1) + value
    assert orientation_in(head + struct.pack(order + "LH", 8, 1) + entry) == 8


@given(st.binary(max_size=200))
def test_any_bytes_have_an_orientation(remark: bytes) -> None:
    assert 1 <= orientation_in(remark) <= 8
    assert 1 <= orientation_in(b"Exif\0\0MM\0*\0\0\0\x08" + remark) <= 8


@given(remark=st.binary(max_size=300), marker=st.sampled_from([0xE1, 0xE2, 0xED, 0xFE]))
@settings(max_examples=60)
def test_random_remarks_leave_a_jpeg_as_it_was(remark: bytes, marker: int) -> None:
    stored = io.BytesIO()
    Image.fromarray(picture(5)).save(stored, "JPEG")
    clean = stored.getvalue()
    segment = bytes([0xFF, marker]) + struct.pack(">H", len(remark) + 2) + remark
    carved = carve(clean[:2] + segment + clean[2:], "JPEG")
    np.testing.assert_array_equal(
        np.asarray(Image.open(io.BytesIO(carved.content))), np.asarray(Image.open(io.BytesIO(clean)))
    )
    assert carved.content == carve(clean, "JPEG").content


@given(
    remark=st.binary(max_size=300),
    kind=st.sampled_from([b"eXIf", b"iCCP", b"zTXt", b"iTXt", b"gAMA", b"cHRM", b"pHYs"]),
)
@settings(max_examples=60)
def test_random_remarks_leave_a_png_as_it_was(remark: bytes, kind: bytes) -> None:
    stored = io.BytesIO()
    Image.fromarray(picture(5)).save(stored, "PNG")
    carved = carve(with_chunk(stored.getvalue(), kind, remark), "PNG")
    assert carved.content == stored.getvalue()


@example(content=b"\xff\xd8\xff\xe1\x00\x06abcd and no marker any more", reader="JPEG")
@given(content=st.binary(max_size=400), reader=st.sampled_from(["JPEG", "PNG", "AVIF", "HEIF", "GIF"]))
def test_any_bytes_can_be_carved(content: bytes, reader: str) -> None:
    carve(content, reader)


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt", b"iCCP"])
def test_two_megabytes_of_text_or_profile_in_a_png(tmp_path: Path, kind: bytes) -> None:
    much = bytes(range(32, 127)) * 22_000
    body = {
        b"tEXt": b"Comment\0" + much,
        b"zTXt": b"Comment\0\0" + zlib.compress(much),
        b"iTXt": b"Comment\0\1\0\0\0" + zlib.compress(much),
        b"iCCP": b"name\0\0" + zlib.compress(much),
    }[kind]
    path = written(tmp_path / "a.png")
    path.write_bytes(with_chunk(path.read_bytes(), kind, body))
    np.testing.assert_array_equal(pixels(path), picture(5))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_without_its_last_marker_is_whole(tmp_path: Path, progressive: bool, missing: int) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(picture(5)).save(path, progressive=progressive)
    clean = pixels(path)
    path.write_bytes(path.read_bytes()[:-missing])
    np.testing.assert_array_equal(pixels(path), clean)
    path.write_bytes(path.read_bytes()[:-60])
    with VideoReader(path, DecodeSettings(), SamplingSettings(), name="a.jpg") as reader:
        assert [frame.damaged for frame in reader] == [True]


@pytest.mark.parametrize("name", ["a.webp", "a.tif", "a.jpg"])
def test_a_broken_description_in_xml_changes_nothing(tmp_path: Path, name: str) -> None:
    clean = pixels(written(tmp_path / name))
    broken = b"<x:xmpmeta><rdf:\xff\xfe tiff:Orientation='banana'" * 40
    more = {"tiffinfo": {700: broken}} if name == "a.tif" else {"xmp": broken}
    Image.fromarray(picture(5)).save(tmp_path / name, quality=90, **more)
    np.testing.assert_array_equal(pixels(tmp_path / name), clean)


@pytest.mark.parametrize("tag", [0x011A, 0x0128, 0x8769, 0x8825, 0x02BC])
def test_an_odd_tag_in_a_tiff_changes_nothing(tmp_path: Path, tag: int) -> None:
    """Where a number or the place of another directory is wanted stands text."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    tags = ImageFileDirectory_v2()
    tags[tag] = "no number"
    tags.tagtype[tag] = 2
    Image.fromarray(picture(5)).save(tmp_path / "a.tif", tiffinfo=tags)
    np.testing.assert_array_equal(pixels(tmp_path / "a.tif"), picture(5))
