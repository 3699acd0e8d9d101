"""The media type of stored content, by its first bytes: what a browser is told must be what it gets."""

from core.errors import UnsupportedMedia
from ingest.sniffing import MP4_BOXES, sniff

UNKNOWN = "application/octet-stream"

# Accepted as uploads; ingest from a bucket takes more.
VIDEOS = ("video/mp4", "video/quicktime", "video/webm", "video/x-matroska", "video/x-msvideo")
IMAGES = ("image/jpeg", "image/png", "image/webp")
EBML = b"\x1a\x45\xdf\xa3"  # begins Matroska and WebM


def media_type(head: bytes) -> str:
    """One of VIDEOS or IMAGES, or UNKNOWN: a type that a browser would run is never among them."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"AVI ": "video/x-msvideo"}.get(head[8:12], UNKNOWN)
    if head.startswith(EBML):
        # The document type stands within the first few dozen bytes.
        return "video/webm" if b"webm" in head[:64] else "video/x-matroska"
    if head[4:8] == b"ftyp":
        return "video/quicktime" if head[8:12] == b"qt  " else "video/mp4"
    return "video/quicktime" if head[4:8] in MP4_BOXES else UNKNOWN


def upload_type(head: bytes, name: str) -> str:
    """The type of an upload. Raises EmptyFile, NotMedia, or UnsupportedMedia for what is no upload's."""
    sniff(head, name)
    found = media_type(head)
    if found == UNKNOWN:
        raise UnsupportedMedia(name=name, reason="this kind of file")
    return found
