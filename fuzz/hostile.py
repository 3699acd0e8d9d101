"""Files made to harm whoever opens them: `hostile_files(trap)` names and makes them one by one.

Bombs are small and become large; references name the canary's file and address; structures are deeper,
longer or more numerous than any honest file's. Sizes are chosen so that a reader without limits would
suffer, and so that the files themselves stay below a few MB.
"""

import io
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from PIL import Image

from fuzz.canary import Canary

HUGE = 0xFFFFFFFF
DEEP = 10_000


@dataclass(frozen=True, kw_only=True)
class Trap:
    """What references point to."""

    path: str
    address: str  # host:port on the loopback

    @classmethod
    def of(cls, canary: Canary) -> "Trap":
        return cls(path=str(canary.file), address=canary.address)

    @property
    def urls(self) -> tuple[str, ...]:
        return (self.path, f"file://{self.path}", f"http://{self.address}/clip.mp4", f"tcp://{self.address}")


def hostile_files(trap: Trap, seeds: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Name and content of each; `seeds` are valid files by name."""
    for make in (_references, _external_data, _still_bombs, _video_bombs, _structures, _polyglots, _oddities):
        yield from make(trap, seeds)


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box of the ISO base media file format (ISO/IEC 14496-12)."""
    content = b"".join(parts)
    return struct.pack(">I", 8 + len(content)) + kind + content


def element(identity: bytes, *parts: bytes) -> bytes:
    """An EBML element (RFC 8794), its length in eight bytes."""
    content = b"".join(parts)
    return identity + struct.pack(">Q", 1 << 56 | len(content)) + content


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


def _references(trap: Trap, seeds: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Lists of other files, under their own names and as a video."""
    for number, url in enumerate(trap.urls):
        playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{url}\n#EXT-X-ENDLIST\n".encode()
        key = f'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n#EXTINF:1,\n{url}\n'.encode()
        concat = f"ffconcat version 1.0\nfile '{url}'\nduration 10\n".encode()
        session = f"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nc=IN IP4 {trap.address}\r\nm=video 1 RTP/AVP 96\r\n"
        manifest = f'<?xml version="1.0"?><MPD type="static"><Period><BaseURL>{url}</BaseURL></Period></MPD>'
        drawing = f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{url}"/></svg>'
        for suffix in ("", ".mp4"):
            yield f"playlist{number}.m3u8{suffix}", playlist
            yield f"concat{number}.ffconcat{suffix}", concat
        yield f"key{number}.m3u8.ts", key
        yield f"session{number}.sdp", session.encode()
        yield f"manifest{number}.mpd.mp4", manifest.encode()
        yield f"drawing{number}.svg.png", drawing.encode()
        yield f"behind-a-packet{number}.ts", b"\x47" + bytes(187) + b"\x47" + bytes(187) + playlist
        yield f"redirect{number}.wmv", f"[Reference]\r\nRef1={url}\r\n".encode()
        yield f"protocol{number}.mp4", f"concat:{url}|subfile,,start,0,end,0,,:{url}".encode()
        picture = seeds["photo.jpg"]
        entity = (
            f'<!DOCTYPE x [<!ENTITY y SYSTEM "{url}">]><x:xmpmeta xmlns:x="adobe:ns:meta/">&y;</x:xmpmeta>'
        )
        packet = b"http://ns.adobe.com/xap/1.0/\0" + entity.encode()
        yield (
            f"entity{number}.jpg",
            picture[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(packet)) + packet + picture[2:],
        )


def _external_data(trap: Trap, seeds: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Movies whose pictures lie in another file, in each way that QuickTime and MP4 know."""
    for number, url in enumerate(trap.urls):
        for kind in (b"url ", b"alis", b"urn "):
            reference = box(kind, bytes(4), url.encode() + b"\0")
            yield (
                f"data{number}-{kind.decode().strip()}.mov",
                _with_reference(seeds["libx264.mp4"], reference),
            )
        target = box(b"rdrf", bytes(4), b"url ", struct.pack(">I", len(url) + 1), url.encode() + b"\0")
        movie = box(b"moov", box(b"rmra", box(b"rmda", target)))
        yield f"movie{number}.mov", box(b"ftyp", b"qt  ", bytes(8)) + movie


PARENTS = {b"moov", b"trak", b"mdia", b"minf", b"dinf"}


def _with_reference(content: bytes, reference: bytes) -> bytes:
    """An MP4 whose data references are replaced; its index has to lie behind its pictures."""
    out, at = [], 0
    while at + 8 <= len(content):
        size, kind = max(8, struct.unpack_from(">I", content, at)[0]), content[at + 4 : at + 8]
        inner = content[at + 8 : at + size]
        if kind in PARENTS:
            out.append(box(kind, _with_reference(inner, reference)))
        elif kind == b"dref":
            out.append(box(b"dref", inner[:8], reference))
        else:
            out.append(content[at : at + size])
        at += size
    return b"".join(out)


def _still_bombs(trap: Trap, seeds: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    del trap
    zeros = zlib.compress(bytes(1 << 26), 9)
    yield "header.png", png(65535, 65535, chunk(b"IDAT", zeros))
    yield "bits.png", png(60000, 60000, chunk(b"IDAT", zeros), depth=1, colour=0)
    yield "text.png", png(8, 8, chunk(b"zTXt", b"a\0\0" + zeros), chunk(b"IDAT", zlib.compress(bytes(200))))
    yield (
        "profile.png",
        png(8, 8, chunk(b"iCCP", b"a\0\0" + zeros), chunk(b"IDAT", zlib.compress(bytes(200)))),
    )
    notes = [chunk(b"tEXt", b"a\0b")] * 200_000
    yield "chunks.png", png(8, 8, *notes, chunk(b"IDAT", zlib.compress(bytes(200))))
    yield "large.gif", _gif((2000, 2000), 500)
    yield "frames.gif", _gif((1, 1), 50_000)
    yield "canvas.gif", _gif((65535, 65535), 1)
    yield (
        "header.bmp",
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 200, 0, 0, 54, 40, 65535, 65535, 1, 24, 0, 0, 0, 0, 0, 0),
    )
    yield (
        "runs.bmp",
        b"BM"
        + struct.pack("<IHHIIiiHHIIiiII", 200, 0, 0, 58, 40, 30000, 30000, 1, 8, 1, 0, 0, 0, 1, 0)
        + bytes(4)
        + b"\xff\0" * 9000,
    )
    yield "scans.jpg", _many_scans(4000, 2000)
    head = bytearray(seeds["photo.jpg"])
    frame = head.index(b"\xff\xc0")
    head[frame + 5 : frame + 9] = struct.pack(">HH", 65500, 65500)
    yield "header.jpg", bytes(head)
    deflated = {256: 30000, 257: 30000, 258: 8, 259: 8, 262: 1, 273: 200, 277: 1, 278: 30000, 279: len(zeros)}
    yield "deflate.tif", _tiff(deflated).ljust(200, b"\0") + zeros
    yield (
        "strips.tif",
        _tiff({256: 1, 257: 1 << 20, 258: 8, 259: 1, 262: 1, 273: (HUGE, 8), 278: 1, 279: (HUGE, 8)}),
    )
    loop = bytearray(_tiff({256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: 8, 278: 8, 279: 64}))
    loop[-4:] = struct.pack("<I", 8)  # the next directory is this one
    yield "loop.tif", bytes(loop)
    yield "tags.tif", b"II*\0" + struct.pack("<IH", 8, 65535) + bytes(12) * 65535
    picture = bytearray(seeds["photo.webp"])
    struct.pack_into("<HH", picture, picture.index(b"\x9d\1\x2a") + 3, 16383, 16383)
    yield "header.webp", bytes(picture)


# One pixel, whose data ends at once; it is to be cleared before the next frame, and the canvas with it.
GIF_FRAME = b"!\xf9\4\x09\1\0\0\0,\0\0\0\0\1\0\1\0\0\2\2\x44\1\0"


def _gif(canvas: tuple[int, int], frames: int) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", *canvas, 0xF0, 0, 0) + bytes(6) + GIF_FRAME * frames + b";"


def _tiff(tags: Mapping[int, int | tuple[int, int]]) -> bytes:
    """A little-endian TIFF of one directory; a tuple is a count and an offset."""
    entries = [
        struct.pack("<HHII", tag, 4, *(value if isinstance(value, tuple) else (1, value)))
        for tag, value in tags.items()
    ]
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + bytes(4)


def _many_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again: each costs a pass over the picture."""
    target = io.BytesIO()
    Image.new("L", (side, side), 128).save(target, "JPEG", progressive=True, quality=30)
    content = target.getvalue()
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * scans + content[-2:]


def _video_bombs(trap: Trap, seeds: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    del trap
    packed = zlib.compress(bytes(9_000_000), 9)  # libav takes no more from one packet
    yield "zlib.mkv", _matroska_of(packed, 200)
    movie = seeds["libx264.mp4"]
    moov = movie[movie.rindex(b"moov") - 4 :]
    bomb = moov + box(b"free", bytes(1 << 26))
    data = box(b"cmvd", struct.pack(">I", len(bomb)), zlib.compress(bomb, 9))
    yield "compressed-index.mov", box(b"moov", box(b"cmov", box(b"dcom", b"zlib"), data))
    begun = seeds["fragmented.mp4"]
    first = begun.index(b"moof") - 4
    piece = begun[first : first + struct.unpack_from(">I", begun, first)[0]] + box(b"mdat")
    yield "fragments.mp4", begun[:first] + piece * (4_000_000 // len(piece))
    for name, parameter in (("large.h264", b"\0\0\1\x67\x64\0\x34"), ("large.h265", b"\0\0\1\x42\1\1")):
        yield name, (parameter + b"\xff" * 40 + b"\0\0\1\x68\xee\x3c\x80\0\0\1\x65\x88") * 5000


def _matroska_of(frame: bytes, frames: int) -> bytes:
    """A video track compressed by zlib, its every frame `frame`."""
    compression = element(
        b"\x6d\x80", element(b"\x62\x40", element(b"\x50\x34", element(b"\x42\x54", b"\0")))
    )
    picture = element(b"\xe0", element(b"\xb0", b"\x10\x00"), element(b"\xba", b"\x10\x00"))
    track = element(
        b"\xae",
        element(b"\xd7", b"\1"),
        element(b"\x83", b"\1"),
        element(b"\x86", b"V_VP8"),
        picture,
        compression,
    )
    blocks = [
        element(b"\xa3", b"\x81", struct.pack(">hB", number * 40, 0x80), frame) for number in range(frames)
    ]
    head = element(b"\x1a\x45\xdf\xa3", element(b"\x42\x82", b"matroska"))
    cluster = element(b"\x1f\x43\xb6\x75", element(b"\xe7", b"\0"), *blocks)
    return head + element(b"\x18\x53\x80\x67", element(b"\x16\x54\xae\x6b", track), cluster)


def _structures(trap: Trap, seeds: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    del trap
    head = box(b"ftyp", b"isom", bytes(8))
    for kind in (b"moov", b"trak", b"udta", b"meta", b"moof"):
        yield f"deep-{kind.decode()}.mp4", head + _nested(kind, partial(box, kind))
    yield (
        "deep.mkv",
        element(b"\x1a\x45\xdf\xa3", element(b"\x42\x82", b"matroska"))
        + element(b"\x18\x53\x80\x67", _nested(b"", partial(element, b"\x12\x54\xc3\x67"), 2000)),
    )
    yield (
        "deep.avi",
        b"RIFF" + struct.pack("<I", HUGE) + b"AVI " + (b"LIST" + struct.pack("<I", HUGE) + b"hdrl") * DEEP,
    )
    yield (
        "deep.flv",
        b"FLV\1\1\0\0\0\x09\0\0\0\0\x12\0\xff\xff" + bytes(7) + b"\2\0\x0aonMetaData" + b"\3\0\1a" * DEEP,
    )
    movie = seeds["libx264.mp4"]
    for table in (b"stts", b"stsz", b"stsc", b"stco", b"stsd", b"ctts", b"elst", b"dref"):
        at = movie.find(table)
        if at < 0:
            continue
        for count in (1_000_000, HUGE):
            forged = bytearray(movie)
            struct.pack_into(">I", forged, at + (12 if table == b"stsz" else 8), count)
            yield f"{table.decode()}-{count}.mp4", bytes(forged)
    start = movie.rindex(b"moov") - 4
    track_at = movie.index(b"trak", start) - 4
    track = movie[track_at : track_at + struct.unpack_from(">I", movie, track_at)[0]]
    header = movie[start + 8 : track_at]
    yield "tracks.mp4", movie[:start] + box(b"moov", header, track * 2000)
    yield "empty-tracks.mp4", movie[:start] + box(b"moov", header, box(b"trak") * 20_000)
    yield (
        "programs.ts",
        b"".join(b"\x47" + struct.pack(">H", 0x4000 | pid) + b"\x10\0" + bytes(183) for pid in range(8192)),
    )
    page = b"OggS\0\2" + bytes(8)
    yield (
        "streams.ogg",
        b"".join(
            page + struct.pack("<II", serial, 0) + bytes(4) + b"\1\x08\x01vorbis\0" for serial in range(5000)
        ),
    )
    yield "start-codes.mpg", b"\0\0\1\xba" + b"\0\0\1" * 300_000


def _nested(innermost: bytes, wrap: Callable[[bytes], bytes], depth: int = 3000) -> bytes:
    content = innermost
    for _ in range(depth):
        content = wrap(content)
    return content


def _polyglots(trap: Trap, seeds: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    script = f'<script src="http://{trap.address}/x.js"></script>'.encode()
    for name in ("photo.jpg", "photo.png", "animated.gif", "libx264.mp4", "libvpx.webm"):
        yield f"html-behind-{name}", seeds[name] + script
        yield f"archive-behind-{name}", seeds[name] + b"PK\3\4" + bytes(26) + b"PK\5\6" + bytes(18)
        yield f"video-behind-{name}", seeds[name] + seeds["libx264.mp4"]
        yield f"html-before-{name}", script + seeds[name]
        yield f"document-around-{name}", b"%PDF-1.4\n1 0 obj\nstream\n" + seeds[name] + b"\nendstream"
    yield "script.gif", b"GIF89a/*" + bytes(20) + b"*/=1;" + script
    yield "html.mp4", box(b"ftyp", b"isom", bytes(8)) + box(b"free", script) + seeds["libx264.mp4"]


def _oddities(trap: Trap, seeds: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    del trap, seeds
    yield "empty.mp4", b""
    yield "byte.mp4", b"\0"
    yield "zeros.mp4", bytes(1 << 20)
    yield "ones.jpg", b"\xff" * (1 << 20)
    yield "text.mp4", b"this is no video\n" * 1000
    yield "line.mp4", b"a" * (1 << 20)
    yield "name\x1b[2J\nforged.mp4", b"what its name says must not reach a terminal"
    yield "\u202egpj.exe.mp4", b"\x1aE\xdf\xa3"
