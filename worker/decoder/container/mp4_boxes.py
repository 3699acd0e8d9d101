"""Reads just enough of an MP4's boxes to learn what libav does not tell: missing parts, encryption, colours.

ISO/IEC 14496-12: a fragmented file is a row of `moof` boxes, each numbered by the `mfhd` in it; 23001-7: an
encrypted sample entry is called `encv`, whatever its codec. libav exposes neither.
"""

import re
import struct
from bisect import bisect_right
from typing import BinaryIO

from worker.decoder.container.dolby_vision import tracks_in_mp4

MOST_BOXES = 200_000  # read at the top level; a hostile file may have as many as it has bytes / 8
HEADER = 40  # bytes of a `moof`, with the `mfhd` in it
MOST_INDEX = 16 * 1024**2  # bytes of a `moov` that are searched; the sample descriptions come first

# The first sample description of a track of pictures: encrypted, by Common Encryption or by FairPlay.
ENCRYPTED_ENTRY = re.compile(rb"stsd\0{4}.{8}(encv|drmi)", re.S)


class Mp4Boxes:
    """The top level of an MP4; empty for anything else."""

    def __init__(self, file: BinaryIO, is_mp4: bool) -> None:
        """`file` keeps its position."""
        self.encrypted_entry = False
        self.dolby_vision: dict[int, int] = {}  # profiles that nothing else can show, by track identifier
        self._offsets: list[int] = []  # bytes, of each fragment
        self._sequence: list[int] = []  # its number
        if not is_mp4:
            return
        place = file.tell()
        try:
            self._read(file)
        finally:
            file.seek(place)

    @property
    def fragmented(self) -> bool:
        return bool(self._offsets)

    def missing_before(self, position: int) -> bool | None:
        """Whether fragments are missing just before the one that holds byte `position`.

        None if the numbers cannot tell: there are none, or the file was joined from others.
        """
        at = bisect_right(self._offsets, position) - 1
        if at < 1:
            return None
        step = self._sequence[at] - self._sequence[at - 1]
        return None if step < 1 else step > 1

    def _read(self, file: BinaryIO) -> None:
        at = 0
        for _ in range(MOST_BOXES):
            file.seek(at)
            head = file.read(HEADER)
            if len(head) < 8:
                return
            size, kind = struct.unpack_from(">I4s", head)
            if size == 1 and len(head) >= 16:
                (size,) = struct.unpack_from(">Q", head, 8)
            if kind == b"moof" and head[12:16] == b"mfhd" and len(head) >= 24:
                self._offsets.append(at)
                self._sequence.append(int.from_bytes(head[20:24], "big"))
            if kind == b"moov":
                file.seek(at)
                index = file.read(min(size, MOST_INDEX) if size else MOST_INDEX)
                self.encrypted_entry |= ENCRYPTED_ENTRY.search(index) is not None
                self.dolby_vision |= tracks_in_mp4(index)
            if size < 8:
                return
            at += size
