"""Predicates on the first bytes of a file, by which `core.media_formats` tells formats."""

import codecs
import re
from collections.abc import Callable

Signature = Callable[[bytes], bool]

# Enough for every signature: a transport stream may begin with as much of something else.
HEAD_BYTES = 64 * 1024

# Control characters that text has: tab, line feed, form feed, carriage return, escape.
TEXT_CONTROLS = frozenset("\t\n\f\r\x1b")

# Bytes of a packet of MPEG-TS: plain, with a camera's time stamp of 4 bytes in front, with error correction.
TRANSPORT_PACKETS = (188, 192, 204)
TRANSPORT_RUN = 5  # sync bytes in a row, too many for chance
TIME_STAMP = 4  # bytes

EBML = b"\x1a\x45\xdf\xa3"  # begins Matroska and WebM

FILE_TYPE = b"ftyp"  # the box with which most files of the MP4 family begin

# Boxes with which a file of the MP4 family may begin. Text can begin so too, and is ruled out separately.
BOXES = frozenset(
    (
        *(
            FILE_TYPE,
            b"moov",
            b"mdat",
            b"moof",
            b"styp",
            b"sidx",
            b"ssix",
            b"emsg",
            b"prft",
            b"pdin",
            b"meta",
        ),
        *(b"free", b"skip", b"wide", b"uuid", b"udta", b"mfra", b"pnot", b"PICT", b"pict", b"junk"),
    )
)
# Those that identify the family even behind unknown boxes.
TELLING_BOXES = frozenset((FILE_TYPE, b"moov", b"mdat", b"moof", b"styp", b"sidx"))
# Those that only fragmented MP4 has, never QuickTime.
FRAGMENT_BOXES = frozenset((b"moof", b"styp", b"sidx", b"ssix", b"emsg", b"prft", b"pdin", b"mfra"))

# Brands of `ftyp`. The vague ones do not say how the pictures are coded; brands beside them do.
HEIF_BRANDS = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"avci", b"avcs")
)
AVIF_BRANDS = frozenset((b"avif", b"avis"))
VAGUE_BRANDS = frozenset((b"mif1", b"mif2", b"mif3", b"msf1", b"miaf"))
MOST_BRANDS = 64  # looked at
# An `ftyp` box of 16 to 255 bytes with a printable brand: where a video begins behind a picture.
APPENDED_VIDEO = re.compile(rb"\0\0\0[\x10-\xff]ftyp[ -~]{4}")

BITMAP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # bytes; the sizes that versions of BMP have had


def starts(*beginnings: bytes) -> Signature:
    """Files that begin with one of these."""
    return lambda head: head.startswith(beginnings)


def pattern(expression: bytes) -> Signature:
    """Files whose beginning matches a regular expression."""
    compiled = re.compile(expression, re.DOTALL)
    return lambda head: compiled.match(head) is not None


def riff(form: bytes) -> Signature:
    return lambda head: head[:4] == b"RIFF" and head[8:12] == form


def bitmap(head: bytes) -> bool:
    # Texts can begin with "BM" too.
    return head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in BITMAP_HEADERS


def webm(head: bytes) -> bool:
    # The document type is within the first few dozen bytes.
    return head.startswith(EBML) and b"webm" in head[:64]


def camera_raw(head: bytes) -> bool:
    """The makers' own formats; those that are valid TIFF are only recognised once opened."""
    return _CAMERA_RAW.match(head) is not None or (head[4:8] == b"ftyp" and head[8:12] == b"crx ")


_CAMERA_RAW = re.compile(rb"II\*\0.{4}CR|FUJIFILMCCD-RAW|IIRO|IIRS|MMOR|IIU\0|FOVb|\0MRM", re.DOTALL)


def brands(head: bytes) -> list[bytes]:
    """The brands of a leading `ftyp` box, the major one first; none where there is no such box."""
    if head[4:8] != b"ftyp":
        return []
    end = min(int.from_bytes(head[:4], "big"), len(head), 16 + 4 * MOST_BRANDS)
    return [head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))]


def heif(head: bytes) -> bool:
    major = brands(head)[:1]
    return bool(HEIF_BRANDS.intersection(major) or (VAGUE_BRANDS.intersection(major) and not avif(head)))


def avif(head: bytes) -> bool:
    found = brands(head)
    if VAGUE_BRANDS.intersection(found[:1]):
        return bool(AVIF_BRANDS.intersection(found) and not HEIF_BRANDS.intersection(found))
    return bool(AVIF_BRANDS.intersection(found[:1]))


def mp4(head: bytes) -> bool:
    return boxes(head) and not quicktime(head)


def quicktime(head: bytes) -> bool:
    """The MP4 family as QuickTime writes it: its own brand, or none."""
    if head[4:8] == b"ftyp":
        return head[8:12] == b"qt  "
    return head[4:8] not in FRAGMENT_BOXES and boxes(head)


def boxes(head: bytes) -> bool:
    """The MP4 family, whichever box comes first."""
    if looks_like_text(head):
        return False
    if head[4:8] in BOXES:
        return True
    at = 0
    while at + 8 <= len(head):
        size, kind = int.from_bytes(head[at : at + 4], "big"), head[at + 4 : at + 8]
        if kind in TELLING_BOXES:
            return True
        if size < 8 or not (kind.isascii() and kind.decode("ascii", "replace").isprintable()):
            return False
        at += size
    return False


def transport_stream(head: bytes) -> bool:
    """MPEG-TS, from the first byte on or behind other bytes."""
    if looks_like_text(head):
        return False
    for packet in TRANSPORT_PACKETS:
        for offset in (0, TIME_STAMP):
            syncs = head[offset::packet]
            if len(syncs) >= 2 and set(syncs) == {0x47}:
                return True
        run = rb"(?:\x47.{%d}){%d}\x47" % (packet - 1, TRANSPORT_RUN - 1)
        if re.search(run, head, re.DOTALL):
            return True
    return False


def raw_h264(head: bytes) -> bool:
    """Annex B of H.264: it begins with a start code, and a sequence parameter set comes soon."""
    return _start_code(head) and re.search(rb"\0\0\x01[\x27\x47\x67]", head) is not None


def raw_h265(head: bytes) -> bool:
    """Annex B of H.265: it begins with a start code, and a video parameter set comes soon."""
    return _start_code(head) and b"\0\0\1\x40\x01" in head


def material_exchange(head: bytes) -> bool:
    """MXF: the key of its header, perhaps behind a run-in."""
    return b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02" in head


def looks_like_text(head: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # may end inside a character
    except UnicodeDecodeError:
        return False
    return not any(char < " " and char not in TEXT_CONTROLS for char in text)


def _start_code(head: bytes) -> bool:
    return head.startswith((b"\0\0\1", b"\0\0\0\1"))
