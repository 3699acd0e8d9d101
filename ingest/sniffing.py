"""What a file is, by its first bytes: names and extensions are a stranger's claim.

This is the gate before the decoder's allow-list: what matches no signature never reaches a demuxer.
"""

import codecs

from core.errors import EmptyFile, NotMedia
from core.outcomes import MediaKind

HEAD_BYTES = 1024  # enough for every signature below
# Bytes of a packet of MPEG-TS, and of its sync byte 0x47 in it; cameras put a time stamp of 4 bytes first.
TRANSPORT_PACKETS = ((188, 0), (192, 4))
BITMAP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # bytes; the sizes that versions of BMP have had
# Control characters that text has: tab, line feed, form feed, carriage return, escape.
TEXT_CONTROLS = frozenset("\t\n\f\r\x1b")

IMAGES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\x00", b"MM\x00*")
VIDEOS = (
    b"\x1a\x45\xdf\xa3",  # Matroska, WebM
    b"FLV\x01",
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"OggS",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF, WMV
)
MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"pnot")
PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"[playlist]", b"v=0\r\n", b"v=0\n", b"<?xml", b"<MPD")


def sniff(head: bytes, name: str) -> MediaKind:
    """The kind of medium whose first bytes are `head` (HEAD_BYTES of them, or all there are).

    Raises:
        EmptyFile: there are none.
        NotMedia: they are those of nothing that Facewarden screens.
    """
    if not head:
        raise EmptyFile(name=name)
    if head.startswith(IMAGES) or _bitmap(head) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return MediaKind.IMAGE
    if head.startswith(VIDEOS) or (head[:4] == b"RIFF" and head[8:12] == b"AVI "):
        return MediaKind.VIDEO
    if head[4:8] in MP4_BOXES or _transport_stream(head):
        return MediaKind.VIDEO
    raise NotMedia(name=name, reason=_described(head))


def _transport_stream(head: bytes) -> bool:
    for packet, offset in TRANSPORT_PACKETS:
        starts = head[offset::packet]
        if len(starts) >= 2 and set(starts) == {0x47}:
            return True
    return False


def _bitmap(head: bytes) -> bool:
    # "BM" alone also begins many a text.
    return head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in BITMAP_HEADERS


def _described(head: bytes) -> str:
    if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(PLAYLISTS):
        return "it is a playlist, which names other files"
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # may end amid a character
    except UnicodeDecodeError:
        text = "\0"
    if any(char < " " and char not in TEXT_CONTROLS for char in text):
        return f"it begins with {head[:4].hex(' ')}"
    return "it is text"
