"""One table of formats: what each file is, and that nobody keeps a second list."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import media_formats
from core.media_formats import FORMATS, SCREENED, UNKNOWN_TYPE, format_of, media_type, media_types
from core.outcomes import MediaKind

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = ("cli", "core", "ingest", "review", "storage", "worker")
HEIC = b"\0\0\0\x18ftyp%s\0\0\0\0mif1%s"
BOX = b"\0\0\0\x10%s\0\0\0\0\0\0\0\0"


def packets(size: int, count: int, before: bytes = b"") -> bytes:
    """Bytes like a transport stream's."""
    return before + (b"\x47\x40\x11\x10" + bytes(size - 4)) * count


@pytest.mark.parametrize(
    ("head", "name", "told"),
    [
        (b"\0\0\0\x18ftypmp42", "MP4", "video/mp4"),
        (b"\0\0\0\x18ftyp3gp4", "MP4", "video/mp4"),
        (b"\0\0\0\x14ftypqt  ", "MOV", "video/quicktime"),
        (b"\0\0\0\x08moov", "MOV", "video/quicktime"),
        (BOX % b"free" + BOX % b"mdat", "MOV", "video/quicktime"),
        (BOX % b"styp" + BOX % b"sidx", "MP4", "video/mp4"),
        (BOX % b"moof", "MP4", "video/mp4"),
        (BOX % b"abcd" + BOX % b"moov", "MOV", "video/quicktime"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm", "WebM", "video/webm"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x88matroska", "MKV", "video/x-matroska"),
        (b"RIFF\0\0\0\0AVI LIST", "AVI", "video/x-msvideo"),
        (packets(188, 2), "MPEG-TS", "video/mp2t"),
        (packets(188, 6, before=bytes(100)), "MPEG-TS", "video/mp2t"),
        (packets(192, 6, before=b"\0\1\2\3"), "MPEG-TS", "video/mp2t"),
        (packets(204, 6), "MPEG-TS", "video/mp2t"),
        (b"FLV\1\1", "FLV", "video/x-flv"),
        (b"OggS\0\2", "Ogg", "video/ogg"),
        (b"\0\0\1\xba\x44", "MPEG-PS", "video/mpeg"),
        (b"\0\0\1\xb3\x14", "raw MPEG-1/2", "video/mpv"),
        (b"\0\0\0\1\x67\x64\0\x1f", "raw H.264", "video/h264"),
        (b"\0\0\0\1\x09\xf0\0\0\0\1\x67\x64", "raw H.264", "video/h264"),
        (b"\0\0\0\1\x40\1\x0c\1", "raw H.265", "video/h265"),
        (b"\x1f\x07\0\x3f", "DV", "video/dv"),
        (bytes(64) + b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01", "MXF", "application/mxf"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "WebP", "image/webp"),
        (b"\xff\xd8\xff\xe0", "JPEG", "image/jpeg"),
        (b"\xff\xd8\xff\xf7", "JPEG-LS", UNKNOWN_TYPE),
        (b"\x89PNG\r\n\x1a\n", "PNG", "image/png"),
        (b"II+\0\x08\0\0\0", "TIFF", "image/tiff"),
        (HEIC % (b"heic", b"heic"), "HEIC", "image/heic"),
        (HEIC % (b"mif1", b"heic"), "HEIC", "image/heic"),
        (HEIC % (b"msf1", b"hevc"), "HEIC", "image/heic"),
        (HEIC % (b"avif", b"miaf"), "AVIF", "image/avif"),
        (HEIC % (b"mif1", b"avif"), "AVIF", "image/avif"),
        (b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 ", "JPEG 2000", "image/jp2"),
        (b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypmjp2", "Motion JPEG 2000", UNKNOWN_TYPE),
        (b"II*\0\x10\0\0\0CR\2\0", "camera raw", UNKNOWN_TYPE),
    ],
)
def test_a_file_is_what_its_first_bytes_say(head: bytes, name: str, told: str) -> None:
    found = format_of(head)
    assert found is not None
    assert (found.name, media_type(head)) == (name, told)


@given(st.binary(max_size=80))
def test_a_browser_is_told_nothing_that_it_would_run(head: bytes) -> None:
    assert media_type(head) in {UNKNOWN_TYPE, *media_types()}
    assert not any(word in media_type(head) for word in ("html", "svg", "xml", "script"))


def test_every_format_is_either_read_or_has_a_remedy() -> None:
    assert len({each.name for each in FORMATS}) == len(FORMATS)
    for each in SCREENED:
        assert each.types
        assert each.suffixes
        assert not each.remedy
    for each in (each for each in FORMATS if not each.screened):
        assert ("JPEG or PNG" in each.remedy) == (each.kind == MediaKind.IMAGE)
    suffixes = [suffix for each in SCREENED for suffix in each.suffixes]
    assert len(suffixes) == len(set(suffixes))
    assert set(suffixes) | set(media_types()) == set(media_formats.accepted().split(","))


def test_there_is_no_second_list() -> None:
    """Signatures, media types and suffixes of media stand in the table, and nowhere else in the product."""
    words = {*(suffix for each in FORMATS for suffix in each.suffixes), *media_types()} - {".hdr"}
    # What we write ourselves, and never to tell what a stranger's file is.
    own = {"image/jpeg", "image/png", "video/mp4", ".jpg", ".png", ".mp4"}
    signature = re.compile(r"""b"[^"]*(?:ftyp|OggS|WEBP|FLV|\\x1a\\?x?45|\\x1aE|GIF8|\\x89PNG|\\xff\\xd8)""")
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            if path.name in ("media_formats.py", "media_signatures.py"):
                continue
            text = path.read_text()
            found = {word for word in words - own if f'"{word}"' in text or f"{word}," in text}
            assert not found, path
            assert path.name == "flv.py" or not signature.search(text), path  # FLV is what we write
    page = (ROOT / "review" / "templates" / "upload.html").read_text()
    assert not any(re.search(rf"\b{re.escape(each.name)}\b", page) for each in FORMATS)


def test_the_page_of_formats_is_made_from_the_table() -> None:
    from cli.formats import as_markdown

    assert (ROOT / "docs" / "formats.md").read_text() == as_markdown()
