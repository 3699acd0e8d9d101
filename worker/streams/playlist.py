"""HLS playlists as values (RFC 8216), read by the package m3u8, which is given text and fetches nothing."""

import re
from dataclasses import dataclass
from math import isfinite

import m3u8

from core.errors import BrokenPlaylist, Encrypted

LONGEST_BYTES = 2 * 1024**2  # a day in pieces of two seconds has about as much
LONGEST_LINE = 4096  # characters: the package's patterns take quadratic time for a hostile one
BYTE_RANGE = re.compile(r"(\d{1,15})(?:@(\d{1,15}))?")


@dataclass(frozen=True, kw_only=True)
class ByteRange:
    """A part of a file."""

    offset: int  # bytes
    length: int  # bytes, above 0


@dataclass(frozen=True, kw_only=True)
class Part:
    """An address in a playlist, perhaps only a part of what is there."""

    uri: str  # may be relative to the playlist
    range: ByteRange | None = None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A segment in a playlist."""

    number: int  # its media sequence number
    duration_seconds: float
    media: Part
    header: Part | None  # EXT-X-MAP: what must stand before its bytes
    missing: bool  # the server says that it has none (EXT-X-GAP)


@dataclass(frozen=True, kw_only=True)
class Playlist:
    """A playlist of segments, by number."""

    entries: tuple[Entry, ...]
    target_seconds: float  # how long a segment lasts at most, above 0
    ended: bool  # none will be added


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One quality of a stream, in a playlist of playlists."""

    uri: str
    bandwidth: int  # bits per second


def read(content: bytes, *, name: str, longest_seconds: float) -> Playlist | tuple[Variant, ...]:
    """What a server answered: a playlist, or the qualities to choose from.

    Raises BrokenPlaylist, and Encrypted where a segment is.
    """
    text = content.decode("utf-8", "replace").lstrip("\ufeff")
    if not text.startswith("#EXTM3U"):
        raise BrokenPlaylist(name=name, reason="it does not begin with #EXTM3U")
    if any(len(line) > LONGEST_LINE for line in text.splitlines()):
        raise BrokenPlaylist(name=name, reason=f"a line is longer than {LONGEST_LINE} characters")
    try:
        parsed = m3u8.loads(text)
        if parsed.is_variant:
            return tuple(
                Variant(uri=each.uri, bandwidth=int(each.stream_info.bandwidth or 0))
                for each in parsed.playlists
                if each.uri
            )
        return _playlist(parsed, name, longest_seconds)
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError) as error:
        reason = f"{type(error).__name__}: {error}"[:200]
        raise BrokenPlaylist(name=name, reason=reason) from error


def middle(variants: tuple[Variant, ...], most: int) -> Variant:
    """Of the qualities up to `most` bits per second the middle one; the lowest where all are above it."""
    by_bandwidth = sorted(variants, key=lambda each: each.bandwidth)
    within = [each for each in by_bandwidth if each.bandwidth <= most]
    return within[len(within) // 2] if within else by_bandwidth[0]


def _playlist(parsed: "m3u8.M3U8", name: str, longest_seconds: float) -> Playlist:
    entries: list[Entry] = []
    ends: dict[str, int] = {}  # of the last range of each file: the next one may begin there
    for segment in parsed.segments:
        method = segment.key.method if segment.key else "NONE"
        if method not in {None, "NONE"}:
            raise Encrypted(name=name, scheme=method)
        seconds = float(segment.duration)
        if not isfinite(seconds) or not 0 < seconds <= longest_seconds:
            raise ValueError(f"a segment lasts {seconds:g} s, not up to {longest_seconds:g} s")
        header = segment.init_section
        entries.append(
            Entry(
                number=int(segment.media_sequence),
                duration_seconds=seconds,
                media=_part(segment.uri, segment.byterange, ends),
                header=None if header is None else _part(header.uri, header.byterange, {}),
                missing=bool(segment.gap_tag),
            )
        )
    longest = max((entry.duration_seconds for entry in entries), default=1.0)
    target = float(parsed.target_duration or longest)
    return Playlist(
        entries=tuple(entries),
        target_seconds=min(max(target, 0.5), longest_seconds),
        ended=bool(parsed.is_endlist),
    )


def _part(uri: str, given: str | None, ends: dict[str, int]) -> Part:
    if given is None:
        return Part(uri=uri)
    found = BYTE_RANGE.fullmatch(given)
    if found is None:
        raise ValueError(f"{given!r} is no byte range")
    length, offset = int(found[1]), int(found[2] or ends.get(uri, 0))
    ends[uri] = offset + length
    return Part(uri=uri, range=ByteRange(offset=offset, length=max(length, 1)))
