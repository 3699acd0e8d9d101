"""Memory that the C library holds back."""

import os
from pathlib import Path

import numpy as np
import pytest

from worker.screening import memory

PAGE = os.sysconf("SC_PAGE_SIZE")
BLOCK, BLOCKS = 100_000, 1000  # bytes: below glibc's threshold for a mapping of its own


def _resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


@pytest.mark.skipif(memory._trim is None, reason="not glibc: its allocator is not the one that holds back")
def test_gaps_between_what_stays_are_given_back() -> None:
    blocks, kept = [], []
    for _ in range(BLOCKS):
        blocks.append(np.ones(BLOCK, np.uint8))
        kept.append(bytearray(2000))  # stays behind the block, as a track's crop stays among frames
    blocks.clear()
    before = _resident()
    memory.give_back()
    assert before - _resident() > BLOCK * BLOCKS // 2
    assert len(kept) == BLOCKS
