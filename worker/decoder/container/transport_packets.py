"""The packets of an MPEG transport stream (ISO/IEC 13818-1), and where there are none: bytes were lost there.

libav looks for the next packet and goes on. It notices a loss by a counter of 16 steps, so it takes one in 16
for none; the pictures after it would then seem to be whole.
"""

from collections.abc import Callable
from typing import BinaryIO

SYNC = 0x47  # each packet's first byte
SIZES = (188, 192, 204)  # bytes of a packet; with a timestamp before it (Blu-ray), or a checksum behind it
ENOUGH = 5  # packets in a row, to be sure that they are packets
PIECE = 1024 * 1024  # bytes read at once
MOST_HOLES = 10_000  # kept; a hostile file may have as many as packets


def find_holes(file: BinaryIO, heartbeat: Callable[[], None] = lambda: None) -> list[int]:
    """Where packets stop following each other, in bytes from the beginning, ascending.

    What comes before the first packet is no hole. `file` keeps its position.
    """
    place = file.tell()
    try:
        return _holes(file, heartbeat)
    finally:
        file.seek(place)


def _holes(file: BinaryIO, heartbeat: Callable[[], None]) -> list[int]:
    holes: list[int] = []
    size = 0  # of the packets since the latest hole; 0: none was found yet
    at = 0  # bytes up to which all is known
    while len(holes) < MOST_HOLES:
        heartbeat()
        file.seek(at)
        piece = file.read(PIECE)
        known, size, found = _look(piece, size)
        holes += [at + each for each in found]
        at += known
        if len(piece) < PIECE:
            break
    return holes[:MOST_HOLES]


def _look(piece: bytes, size: int) -> tuple[int, int, list[int]]:
    """Up to where all of a piece is known, the size of the packets there, and the holes before."""
    holes: list[int] = []
    at = 0
    while True:
        if size == 0:
            found = _first(piece, at)
            if found is None:
                return max(at, len(piece) - ENOUGH * SIZES[-1]), 0, holes
            at, size = found
        marks = piece[at::size]
        in_a_row = len(marks) - len(marks.lstrip(bytes([SYNC])))
        at += size * min(in_a_row, (len(piece) - at) // size)
        if len(piece) - at < size and piece[at : at + 1] in {b"", bytes([SYNC])}:
            return at, size, holes  # a part of the next packet may be left
        holes.append(at)
        at, size = at + 1, 0


def _first(piece: bytes, at: int) -> tuple[int, int] | None:
    """Where a row of packets starts from `at` on, and the size of each."""
    at = piece.find(SYNC, at)
    while at >= 0:
        for size in SIZES:
            if piece[at : at + ENOUGH * size : size] == bytes([SYNC] * ENOUGH):
                return at, size
        at = piece.find(SYNC, at + 1)
    return None
