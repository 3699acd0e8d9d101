"""Telling pictures from videos by their first bytes."""

import re

HEAD_BYTES = 16

# First bytes of a picture, and Pillow's name for its format.
SIGNATURES = (
    (re.compile(rb"\xff\xd8\xff"), "JPEG"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "PNG"),
    (re.compile(rb"RIFF.{4}WEBP", re.S), "WEBP"),
    (re.compile(rb"GIF8[79]a"), "GIF"),
    (re.compile(rb"BM.{4}\0\0\0\0", re.S), "BMP"),
    (re.compile(rb"II\*\0|MM\0\*"), "TIFF"),
)


def still_format(head: bytes) -> str | None:
    """Pillow's name of the format of the picture that starts with `head`; None for what is no picture."""
    return next((name for signature, name in SIGNATURES if signature.match(head)), None)
