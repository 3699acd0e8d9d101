"""How much of an MPEG transport stream is scrambled: pay television, recorded without its key."""

import os
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

from worker.decoder.container.transport_packets import SYNC

PACKET = 188  # bytes
WINDOW = 100 * PACKET  # bytes looked at in one place
WINDOWS = 64  # places, evenly spread over the file
STUFFING = 0x1FFF  # the PID of packets without content


def scrambled_share(file: BinaryIO) -> float:
    """The scrambled fraction, in [0, 1], of its largest stream's packets. `file` keeps its position."""
    counted: Counter[int] = Counter()
    scrambled: Counter[int] = Counter()
    place = file.tell()
    try:
        size = file.seek(0, os.SEEK_END)
        for window in range(WINDOWS):
            file.seek(max(0, size - WINDOW) * window // (WINDOWS - 1))
            for pid, is_scrambled in _packets(file.read(WINDOW)):
                counted[pid] += 1
                scrambled[pid] += is_scrambled
            if size <= WINDOW:
                break
    finally:
        file.seek(place)
    if not counted:
        return 0.0
    ((largest, count),) = counted.most_common(1)
    return scrambled[largest] / count


def _packets(piece: bytes) -> Iterator[tuple[int, bool]]:
    """The PID of each packet with content, and whether it is scrambled."""
    starts = (n for n in range(PACKET) if piece[n::PACKET].count(SYNC) == len(piece[n::PACKET]) > 1)
    for at in range(next(starts, len(piece)), len(piece) - 3, PACKET):
        pid = (piece[at + 1] & 0x1F) << 8 | piece[at + 2]
        if pid != STUFFING and piece[at + 3] & 0x10:
            yield pid, bool(piece[at + 3] & 0x80)
