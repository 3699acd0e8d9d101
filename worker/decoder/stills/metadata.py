"""A picture's metadata, read by us: libraries reject a whole picture over a broken tag.

Decoders get a JPEG or PNG without any metadata, an AVIF or HEIC without its EXIF; orientation and colour
profile are read here, and anything odd in them is ignored. The rest of the file is left as it is, for the
decoder to judge.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

ORIENTATION_TAG = 0x0112
# TIFF types in which an orientation is found: bytes, shorts and longs, signed or not. The tag wants a short.
INTEGERS = {1: "B", 3: "H", 4: "L", 6: "b", 8: "h", 9: "l"}

MOST_PROFILE_BYTES = 8 * 1024**2  # of a colour profile, uncompressed; the largest that printers use are 4 MiB

# Segments of a JPEG that its pixels do not depend on: APP1 to APP13, APP15 and comments. APP0 and APP14 say
# how colours are coded.
JPEG_REMARKS = frozenset((*range(0xE1, 0xEE), 0xEF, 0xFE))
JPEG_STANDALONE = frozenset((0x01, *range(0xD0, 0xD8)))  # markers without a length
JPEG_SCAN, JPEG_END = 0xDA, 0xD9

# Chunks of a PNG (and of its animation) that its pixels depend on.
PNG_PIXELS = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT"))


@dataclass(frozen=True, kw_only=True)
class Cicp:
    """How colours are coded, in the numbers of ITU-T H.273."""

    primaries: int
    transfer: int


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture as its decoder gets it, and what its metadata said."""

    content: bytes
    orientation: int = 1  # of EXIF, 1 to 8; 1 is upright
    profile: bytes | None = None  # ICC
    cicp: Cicp | None = None


def carve(content: bytes, reader: str) -> Picture:
    """Strip the metadata from a picture that `reader` (Pillow's name of a format) will decode."""
    match reader:
        case "JPEG":
            return _carve_jpeg(content)
        case "PNG":
            return _carve_png(content)
        case "AVIF" | "HEIF":
            return _carve_heif(content)
    return Picture(content=content)


def orientation_in(exif: bytes) -> int:
    """The orientation in EXIF, whatever else is wrong in it; 1 if it gives no valid one."""
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (at,) = struct.unpack_from(order + "L", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(order + "HH", exif, entry)
            if tag == ORIENTATION_TAG:
                (value,) = struct.unpack_from(order + INTEGERS.get(kind, "H"), exif, entry + 8)
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def jpeg_without_end(content: bytes) -> tuple[bytes, bytes]:
    """Two versions of a JPEG with its last marker restored, after different filling bits.

    If its data was complete both decode to the same pixels; else the missing part differs.
    """
    cut = content.removesuffix(b"\xff")
    return cut + b"\xff\xd9", cut + b"\x5a\xc3\x36\xa5" * 64 + b"\xff\xd9"


def jpeg_scans(content: bytes) -> int:
    """How many scans over its pixels a JPEG has; inside its data the marker cannot occur by chance."""
    return max(1, content.count(bytes((0xFF, JPEG_SCAN))))


def boxes(content: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Kind, first byte and end of the content of each box between `start` and `end` of a file like MP4."""
    at, end = start, len(content) if end is None else min(end, len(content))
    while at + 8 <= end:
        size, kind = struct.unpack_from(">L4s", content, at)
        body = at + 8
        if size == 1 and at + 16 <= end:
            (size,) = struct.unpack_from(">Q", content, body)
            body += 8
        stop = end if size == 0 else at + size
        if stop < body or stop > end:
            return
        yield kind, body, stop
        at = stop


def _carve_jpeg(content: bytes) -> Picture:
    found = Picture(content=content)
    kept, profiles, exif = [content[:2]], {}, b""
    at = 2
    while True:
        at = content.find(b"\xff", at)
        # Before the fill bytes: from -1 they would lead back to the first marker, for ever.
        if at < 0:
            return found  # no scan: nothing to recover
        while content[at + 1 : at + 2] == b"\xff":  # fill bytes
            at += 1
        if at + 4 > len(content):
            return found
        marker = content[at + 1]
        if marker in (JPEG_SCAN, JPEG_END):
            break
        if marker in JPEG_STANDALONE or marker == 0:
            kept.append(content[at : at + 2])
            at += 2
            continue
        end = at + 2 + max(2, int.from_bytes(content[at + 2 : at + 4], "big"))
        body = content[at + 4 : end]
        if marker not in JPEG_REMARKS:
            kept.append(content[at:end])
        elif body.startswith(b"ICC_PROFILE\0") and len(body) > 14:
            profiles[body[12]] = body[14:]
        elif body.startswith(b"Exif\0"):
            exif = exif or body
        at = end
    return replace(
        found,
        content=b"".join((*kept, content[at:])),
        orientation=orientation_in(exif),
        profile=b"".join(profiles[number] for number in sorted(profiles)) or None,
    )


def _carve_png(content: bytes) -> Picture:
    found, kept, at = Picture(content=content), [content[:8]], 8
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">L4s", content, at)
        body, end = content[at + 8 : at + 8 + length], at + 12 + length
        if kind in PNG_PIXELS or not kind.isalpha():
            kept.append(content[at:end])
        elif kind == b"eXIf":
            found = replace(found, orientation=orientation_in(body))
        elif kind == b"iCCP":
            found = replace(found, profile=_unpacked(body.partition(b"\0")[2][1:]))
        elif kind == b"cICP" and len(body) >= 2:
            found = replace(found, cicp=Cicp(primaries=body[0], transfer=body[1]))
        at = end
        if kind == b"IEND":
            break
    return replace(found, content=b"".join(kept))


def _unpacked(packed: bytes) -> bytes | None:
    try:
        return zlib.decompressobj().decompress(packed, MOST_PROFILE_BYTES) or None
    except zlib.error:
        return None


def _carve_heif(content: bytes) -> Picture:
    """Rename the EXIF item to an unknown kind: in these formats, boxes say how to turn the picture."""
    changed, cicp = bytearray(content), None
    for kind, start, end in boxes(content):
        if kind != b"meta":
            continue
        at = content.find(b"infe", start, end)
        while at >= 0:
            # Version 2 (3) has a number of 2 (4) bytes and 2 bytes of protection before the kind of item.
            place = at + 8 + (4 if content[at + 4 : at + 5] >= b"\3" else 2) + 2
            if content[place : place + 4] == b"Exif":
                changed[place : place + 4] = b"none"
            at = content.find(b"infe", at + 4, end)
        at = content.find(b"colrnclx", start, end)
        if 0 <= at <= end - 14:
            primaries, transfer = struct.unpack_from(">HH", content, at + 8)
            cicp = Cicp(primaries=primaries, transfer=transfer)
    return Picture(content=bytes(changed), cicp=cicp)
