"""HLS: the playlist and its segments, fetched by us from checked addresses, never by libav.

A live playlist is read again and again; of what it holds at first the last three segments are taken, as
players do (RFC 8216, 6.3.3).
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPResponse
from pathlib import Path
from typing import BinaryIO

from core.errors import BrokenPlaylist, FetchFailed, MediaTooLarge
from core.outgoing import Target, follow
from core.settings import StreamSettings
from worker.streams.playlist import LONGEST_BYTES, Entry, Part, Playlist, Variant, middle, read
from worker.streams.source import Gap, Piece, Segment

HEADERS = {"User-Agent": "facewarden", "Accept-Encoding": "identity"}
AT_FIRST = 3  # segments of a live playlist
BEGUN_ANEW = 3  # numbers by which an old copy of a playlist may lag behind
STALE = 6  # target durations without anything new, after which the stream counts as broken off
PIECE_BYTES = 256 * 1024
DEPTH = 3  # playlists of playlists, one in the other


class HlsSource:
    """A stream in HLS; see `Source`."""

    def __init__(
        self,
        target: Target,
        settings: StreamSettings,
        *,
        wait: Callable[[float], bool],
        clock: Callable[[], float] = time.monotonic,
        folder: Path | None = None,
    ) -> None:
        """A stream that nothing is asked of before `pieces`.

        Args:
            wait: takes seconds, and returns whether to stop.
            clock: gives seconds, to measure outages.
            folder: on the disk that takes the segments; by default the system's for temporary files.
        """
        self._folder = folder
        self._first, self._settings, self._wait, self._clock = target, settings, wait, clock
        self._next: int | None = None  # number of the segment that is wanted next
        self._time = 0.0  # stream time at which it begins
        self._came_at = 0.0  # by the clock, when the last piece came
        self._header: tuple[Target, Part, bytes] | None = None  # the latest, with where it came from
        self.live = True

    @property
    def name(self) -> str:
        return self._first.name

    def pieces(self) -> Iterator[Piece]:
        where, playlist = self._chosen()
        self.live = not playlist.ended
        again, silent = self._next is not None, 0.0
        if again or self.live:
            yield from self._begin(playlist, again=again)
        while True:
            news = [entry for entry in playlist.entries if self._next is None or entry.number >= self._next]
            for entry in news:
                yield from self._piece(entry, where)
            if playlist.ended:
                return
            pause = playlist.target_seconds if news else playlist.target_seconds / 2
            silent = 0.0 if news else silent + pause
            if silent > STALE * playlist.target_seconds:
                raise FetchFailed(name=self.name, reason=f"nothing new has come for {silent:.0f} s")
            if self._wait(pause):
                return
            where, playlist = self._loaded(where)
            if self._lags(playlist, BEGUN_ANEW):
                yield from self._begin(playlist, again=True)

    def _begin(self, playlist: Playlist, *, again: bool) -> Iterator[Piece]:
        """Go to the right segment of a live playlist that is read for the first time, or after an outage."""
        if again and not self._lags(playlist, 0):
            return  # `_piece` counts what is missing
        if again:
            away = max(0.0, self._clock() - self._came_at)
            yield self._gap(away, "the stream broke off and began anew")
        latest = playlist.entries[-AT_FIRST:] if self.live else playlist.entries
        self._next = latest[0].number if latest else None

    def _lags(self, playlist: Playlist, allowed: int) -> bool:
        """Whether all of it lies before what was seen already: its server has begun to count anew."""
        if self._next is None or not playlist.entries:
            return False
        return playlist.entries[-1].number + 1 + allowed < self._next

    def _piece(self, entry: Entry, where: Target) -> Iterator[Piece]:
        if self._next is not None and entry.number > self._next:
            missed, self._next = entry.number - self._next, entry.number
            yield self._gap(missed * entry.duration_seconds, f"{missed} segments were gone before they came")
        piece = self._missing(entry) if entry.missing else self._fetched(entry, where)
        self._next, self._came_at = entry.number + 1, self._clock()
        self._time += piece.duration_seconds
        yield piece

    def _gap(self, seconds: float, reason: str) -> Gap:
        """Told once, also if the segment behind it does not come."""
        gap = Gap(start_seconds=self._time, duration_seconds=seconds, reason=reason)
        self._time, self._came_at = self._time + seconds, self._clock()
        return gap

    def _missing(self, entry: Entry) -> Gap:
        seconds = entry.duration_seconds
        return Gap(
            start_seconds=self._time, duration_seconds=seconds, reason="its server has no such segment"
        )

    def _fetched(self, entry: Entry, where: Target) -> Piece:
        """The segment; a gap where the server answers, but not with it. Raises FetchFailed if it is away."""
        file: BinaryIO = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  closed by whoever has looked at it
        try:
            if entry.header is not None:
                file.write(self._headed(entry.header, where))
            size = self._download(entry.media, where, file)
        except (FetchFailed, MediaTooLarge) as error:
            file.close()
            if isinstance(error, FetchFailed) and "status" not in error.fields:
                raise
            return Gap(
                start_seconds=self._time, duration_seconds=entry.duration_seconds, reason=_reason(error)
            )
        except BaseException:
            file.close()
            raise
        file.flush()
        return Segment(
            start_seconds=self._time, duration_seconds=entry.duration_seconds, file=file, size_bytes=size
        )

    def _headed(self, header: Part, where: Target) -> bytes:
        """What stands before each segment's bytes; fetched once."""
        target = self._settings.guard.target(header.uri, base=where)
        if self._header is None or self._header[:2] != (target, header):
            with tempfile.TemporaryFile(dir=self._folder) as file:
                self._download(header, where, file)
                file.seek(0)
                self._header = (target, header, file.read())
        return self._header[2]

    def _chosen(self) -> tuple[Target, Playlist]:
        """The playlist of the quality to watch, and where it is."""
        where, limits = self._first, self._settings
        for _ in range(DEPTH):
            where, found = self._read(where)
            if isinstance(found, Playlist):
                return where, found
            if not found:
                break
            where = limits.guard.target(middle(found, limits.max_bandwidth).uri, base=where)
        raise BrokenPlaylist(name=self.name, reason="it leads to no playlist of segments")

    def _loaded(self, where: Target) -> tuple[Target, Playlist]:
        """The same playlist, read again; redirects are followed anew."""
        _, found = self._read(where)
        if not isinstance(found, Playlist):
            raise BrokenPlaylist(name=self.name, reason="its playlist of segments has become another")
        return where, found

    def _read(self, target: Target) -> tuple[Target, Playlist | tuple[Variant, ...]]:
        limits = self._settings
        with follow(target, limits.guard, limits.patience, redirects=limits.redirects, headers=HEADERS) as (
            where,
            answer,
        ):
            content = answer.read(LONGEST_BYTES + 1)
        if len(content) > LONGEST_BYTES:
            raise BrokenPlaylist(name=self.name, reason=f"it is longer than {LONGEST_BYTES} bytes")
        return where, read(content, name=self.name, longest_seconds=limits.max_segment_seconds)

    def _download(self, part: Part, base: Target, into: BinaryIO) -> int:
        limits, headers, status = self._settings, dict(HEADERS), 200
        if part.range is not None:
            last = part.range.offset + part.range.length - 1
            headers["Range"], status = f"bytes={part.range.offset}-{last}", 206
        with follow(
            limits.guard.target(part.uri, base=base),
            limits.guard,
            limits.patience,
            redirects=limits.redirects,
            headers=headers,
            status=status,
        ) as (where, answer):
            return _copied(answer, into, limits.max_segment_bytes, where.name)


def _copied(answer: HTTPResponse, into: BinaryIO, most: int, name: str) -> int:
    size = 0
    while piece := answer.read(PIECE_BYTES):
        size += len(piece)
        if size > most:
            raise MediaTooLarge(
                name=name,
                quantity="the size of a segment in bytes",
                value=f"{size} or more",
                limit=most,
                setting="FACEWARDEN_STREAMS__MAX_SEGMENT_BYTES",
            )
        into.write(piece)
    length = answer.headers.get("Content-Length", "")
    if length.isdecimal() and size != int(length):
        raise FetchFailed(name=name, reason=f"it broke off after {size} of {length} bytes")
    return size


def _reason(error: FetchFailed | MediaTooLarge) -> str:
    if isinstance(error, FetchFailed):
        return f"a segment could not be fetched: {error.fields['reason']}"
    with suppress(KeyError):
        return f"a segment is larger than {error.fields['limit']} bytes"
    return "a segment is too large"
