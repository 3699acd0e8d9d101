"""When the frames of an animation are shown, read from its container: Pillow knows only after decoding."""

import struct
from itertools import chain, repeat

from worker.decoder.stills.metadata import boxes

MOST_FRAMES = 20_000  # of an animation


def durations(content: bytes, reader: str) -> list[float]:
    """How long each frame is shown, in seconds; empty if the container does not say it in one place."""
    try:
        match reader:
            case "WEBP":
                return _of_webp(content)
            case "AVIF":
                return _of_avif(content)
    except struct.error:
        pass
    return []


def _of_webp(content: bytes) -> list[float]:
    """The durations in the headers of its ANMF chunks, in milliseconds of 24 bits."""
    found: list[float] = []
    at = 12
    while at + 8 <= len(content) and len(found) < MOST_FRAMES:
        kind, size = struct.unpack_from("<4sL", content, at)
        if kind == b"ANMF" and at + 23 <= len(content):
            found.append(int.from_bytes(content[at + 20 : at + 23], "little") / 1000)
        at += 8 + size + size % 2
    return found


def _of_avif(content: bytes) -> list[float]:
    """The table of times (`stts`) of the first track, in its own units (`mdhd`)."""
    whole = (0, len(content))
    track = _inside(content, _inside(content, whole, b"moov"), b"trak")
    media = _inside(content, track, b"mdia")
    header = _inside(content, media, b"mdhd")
    table = _inside(content, _inside(content, _inside(content, media, b"minf"), b"stbl"), b"stts")
    if header is None or table is None:
        return []
    version = content[header[0]]
    (scale,) = struct.unpack_from(">L", content, header[0] + (20 if version == 1 else 12))
    (entries,) = struct.unpack_from(">L", content, table[0] + 4)
    runs = [
        struct.unpack_from(">LL", content, table[0] + 8 + 8 * entry)
        for entry in range(min(entries, (table[1] - table[0] - 8) // 8))
    ]
    ticks = chain.from_iterable(repeat(length, min(count, MOST_FRAMES)) for count, length in runs)
    return [length / scale for _, length in zip(range(MOST_FRAMES), ticks, strict=False)] if scale else []


def _inside(content: bytes, place: tuple[int, int] | None, wanted: bytes) -> tuple[int, int] | None:
    """Where the content of the first box `wanted` is."""
    if place is None:
        return None
    return next(((start, end) for kind, start, end in boxes(content, *place) if kind == wanted), None)
