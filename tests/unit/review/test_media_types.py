"""What a browser is told about content that strangers have sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputError, UnsupportedMedia
from review.media_types import IMAGES, UNKNOWN, VIDEOS, media_type, upload_type


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"\x00\x00\x00\x18ftypmp42", "video/mp4"),
        (b"\x00\x00\x00\x14ftypqt  ", "video/quicktime"),
        (b"\x00\x00\x00\x08moov", "video/quicktime"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm", "video/webm"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x88matroska", "video/x-matroska"),
        (b"RIFF\x00\x00\x00\x00AVI LIST", "video/x-msvideo"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
    ],
)
def test_uploads_are_known_by_their_first_bytes(head: bytes, expected: str) -> None:
    assert media_type(head) == upload_type(head, "x") == expected


@pytest.mark.parametrize("head", [b"GIF89a", b"II*\x00", b"FLV\x01", b"\x00\x00\x01\xba"])
def test_media_that_only_a_bucket_takes_is_no_upload(head: bytes) -> None:
    assert media_type(head) == UNKNOWN
    with pytest.raises(UnsupportedMedia):
        upload_type(head, "x")


@given(st.binary(max_size=80))
def test_nothing_else_is_ever_said(head: bytes) -> None:
    assert media_type(head) in {UNKNOWN, *VIDEOS, *IMAGES}
    try:
        assert upload_type(head, "x") in {*VIDEOS, *IMAGES}
    except InputError as error:
        assert error.code in {"empty_file", "not_media", "unsupported_media"}
