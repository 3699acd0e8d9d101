"""Files are what their bytes say."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import EmptyFile, InputError, NotMedia, UnsafePath, UnsupportedMedia
from core.gate import open_regular, sniff
from core.outcomes import MediaKind


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x00\x00\x00\x20ftypisom", MediaKind.VIDEO),
        (b"\x00\x00\x00\x08wide\x00\x00\x00\x00mdat", MediaKind.VIDEO),
        (b"\x1a\x45\xdf\xa3....", MediaKind.VIDEO),
        (b"RIFF\x00\x00\x00\x00AVI LIST", MediaKind.VIDEO),
        ((b"\x47" + bytes(187)) * 3, MediaKind.VIDEO),
        (b"\xff\xd8\xff\xe0", MediaKind.IMAGE),
        (b"\x89PNG\r\n\x1a\n", MediaKind.IMAGE),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", MediaKind.IMAGE),
    ],
)
def test_signatures(head: bytes, kind: MediaKind) -> None:
    assert sniff(head, "x").kind == kind


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"hello, this is no film\n", "it is text"),
        (b"#EXTM3U\n#EXTINF:4,\nfile:///etc/passwd\n", "playlist"),
        (b"ffconcat version 1.0\nfile other.mp4\n", "playlist"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "it begins with"),
        (b"%PDF-1.7\n\xe2\xe3\xcf\xd3", "it begins with"),
    ],
)
def test_what_is_no_medium_is_refused_with_a_reason(head: bytes, reason: str) -> None:
    with pytest.raises(NotMedia, match=reason):
        sniff(head, "x.mp4")


def test_an_empty_file_says_so() -> None:
    with pytest.raises(EmptyFile, match=r"x\.mp4: the file is empty"):
        sniff(b"", "x.mp4")


@given(st.binary(max_size=2048))
def test_any_bytes_give_a_kind_or_a_typed_error(head: bytes) -> None:
    try:
        assert sniff(head, "x").kind in (MediaKind.VIDEO, MediaKind.IMAGE)
    except InputError as error:
        assert error.code in ("empty_file", "not_media", "unsupported_media")


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        ((bytes(4) + b"\x47" + bytes(187)) * 3, MediaKind.VIDEO),  # as cameras write it
        (b"BM" + bytes(12) + b"\x28\x00\x00\x00", MediaKind.IMAGE),
    ],
)
def test_signatures_that_need_a_second_look(head: bytes, kind: MediaKind) -> None:
    assert sniff(head, "x").kind == kind


@pytest.mark.parametrize(
    "head", [b"BMW sells cars, not films", "é".encode() * 511 + b"xx" + "é".encode()[:1], b"G" + b" " * 500]
)
def test_text_is_text_however_it_begins_and_wherever_it_is_cut(head: bytes) -> None:
    with pytest.raises(NotMedia, match="it is text"):
        sniff(head, "x.mp4")


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"8BPS\0\1", r"x: the format Photoshop is not on the list .* Export it as JPEG or PNG\."),
        (b"\xff\x0a\xfa", r"JPEG XL .* Export it as JPEG or PNG\."),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", r"camera raw .* Develop it and export it as JPEG or PNG\."),
        (b".RMF\0\0\0\x12", r"RealMedia .* Convert it to H\.264 in MP4\."),
    ],
)
def test_what_is_known_and_not_taken_says_what_to_do_instead(head: bytes, said: str) -> None:
    with pytest.raises(UnsupportedMedia, match=said):
        sniff(head, "x")


def test_what_nobody_knows_is_told_what_is_taken() -> None:
    with pytest.raises(NotMedia, match=r"Supported: MP4, MOV, .*MPEG-TS, MXF, JPEG, PNG, WebP, HEIC, .*\.$"):
        sniff(bytes(2000), "x")


@pytest.mark.parametrize("text", [b"The metadata of a film", b"And skip the rest.", b"G" * 4000])
def test_text_that_begins_like_a_film_is_text(text: bytes) -> None:
    with pytest.raises(NotMedia, match="it is text"):
        sniff(text, "x.mp4")


@pytest.mark.parametrize("below", ["folder", "."])
def test_a_folder_is_refused_and_not_held_open(tmp_path: Path, below: str) -> None:
    (tmp_path / "folder").mkdir()
    before = set(Path("/proc/self/fd").iterdir())
    with pytest.raises(UnsafePath, match="not a regular file"):
        open_regular(tmp_path / below, root=tmp_path, name=below, max_bytes=1)
    assert set(Path("/proc/self/fd").iterdir()) == before
