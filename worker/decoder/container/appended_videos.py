"""Finds videos appended to a picture: Motion Photos as Google, Samsung and others write them.

Such a file is a whole picture followed by a whole MP4, sometimes with other pictures or makers' blocks in
between; in a HEIC the MP4 may also be in a box of its own. The metadata only adds places to look: a video
counts wherever its bytes are, whether anything names it or not.

Runs before `worker.decoder.sandbox.lockdown.lock_down`, because it decides what has to be imported: in pure
Python, on a bounded part of the file.
"""

import os
import re
from io import FileIO, RawIOBase

from core.media_formats import MediaFormat
from core.media_signatures import APPENDED_VIDEO, AVIF_BRANDS, BOXES, FILE_TYPE, HEIF_BRANDS, VAGUE_BRANDS

READERS = frozenset(("JPEG", "HEIF", "AVIF"))  # of the pictures that can have one
MOST_VIDEOS = 4  # behind one picture
MOST_SEARCHED = 128 * 1024**2  # bytes from the file's start; beyond, only where the metadata points
MOST_CANDIDATES = 100_000  # places that look like a video's beginning

BEGINNING_BYTES = 256 + 8  # with the header of the box behind it
SECOND_BOXES = BOXES - {FILE_TYPE}
PICTURE_BRANDS = HEIF_BRANDS | AVIF_BRANDS | VAGUE_BRANDS  # no video, but one more picture

# Google's XMP fields: bytes from a video's start to the file's end; lengths of what is appended.
OFFSET = re.compile(rb"MicroVideoOffset\s*(?:=\s*[\"']|>)\s*(\d{1,12})")
LENGTH = re.compile(rb"Item:Length\s*(?:=\s*[\"']|>)\s*(\d{1,12})")
MOST_NAMED = 16  # lengths that are looked at

# Of a JPEG: the next marker other than those within its data, and what the markers begin.
MARKER = re.compile(rb"\xff([^\0\xd0-\xd7\xff])", re.DOTALL)
JPEG_END, JPEG_STANDALONE = 0xD9, frozenset((0x01, 0xD8))


class AppendedVideo(RawIOBase):
    """The part of a file from byte `start` on, as a readable file."""

    def __init__(self, file: FileIO, start: int) -> None:
        self._file, self._start, self._at = file, start, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # never called with anything else
        self._file.seek(self._start + self._at)
        count = self._file.readinto(buffer) or 0
        self._at += count
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}.get(whence)
        if base is None:
            base = self._file.seek(0, os.SEEK_END) - self._start
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at


def find_appended(file: FileIO, picture: MediaFormat) -> list[int]:
    """The first bytes of the MP4s behind the picture in `file`, ascending; for most files there is none."""
    if picture.reader not in READERS:
        return []
    size = os.fstat(file.fileno()).st_size
    content = os.pread(file.fileno(), min(size, MOST_SEARCHED), 0)
    named = [
        start for start in _named(content, size) if _begins(os.pread(file.fileno(), BEGINNING_BYTES, start))
    ]
    if not named and content.find(FILE_TYPE, 8) < 0:
        return []
    end = _jpeg_end(content) if picture.reader == "JPEG" else int.from_bytes(content[:4], "big")
    starts = {*_searched(content, end), *(start for start in named if start >= end)}
    return sorted(starts)[: MOST_VIDEOS + 1]


def picture_end(content: bytes, start: int) -> int:
    """Where the picture before the video at `start` ends: a HEIC may hold the video in a box."""
    if content[start - 4 : start] == b"mpvd":
        return start - 8
    return start - 16 if content[start - 12 : start - 8] == b"mpvd" else start


def _searched(content: bytes, end: int) -> list[int]:
    """The beginnings of videos behind the byte `end`."""
    found: list[int] = []
    for count, match in enumerate(APPENDED_VIDEO.finditer(content, end)):
        if len(found) > MOST_VIDEOS or count >= MOST_CANDIDATES:
            break
        if _begins(content[match.start() : match.start() + BEGINNING_BYTES]):
            found.append(match.start())
    return found


def _begins(head: bytes) -> bool:
    """Whether an MP4 with moving pictures begins like this: its first box, and the next one's name."""
    if APPENDED_VIDEO.match(head) is None or head[8:12] in PICTURE_BRANDS:
        return False
    following = head[3]
    return head[following + 4 : following + 8] in SECOND_BOXES


def _named(content: bytes, size: int) -> set[int]:
    """Places where, by the picture's metadata, something begins."""
    back = [int(said) for said in OFFSET.findall(content)[:MOST_NAMED]]
    lengths = [int(said) for said in LENGTH.findall(content)[:MOST_NAMED]]
    back += [sum(lengths[number:]) for number in range(len(lengths))]
    return {size - length for length in back if 0 < length < size}


def _jpeg_end(content: bytes) -> int:
    """After a JPEG's last marker or, if that is missing, where a video begins inside its data."""
    at, scanning = 2, False
    while (marker := MARKER.search(content, at)) is not None:
        if scanning:
            video = APPENDED_VIDEO.search(content, at, marker.start())
            if video is not None and _begins(content[video.start() : video.start() + BEGINNING_BYTES]):
                return video.start()
        code = marker[1][0]
        if code == JPEG_END:
            return marker.end()
        at = marker.end()
        if code not in JPEG_STANDALONE:
            at += max(2, int.from_bytes(content[at : at + 2], "big"))
            scanning = scanning or code == 0xDA
    return at
