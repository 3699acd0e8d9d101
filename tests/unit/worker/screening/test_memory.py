"""Memory that the C library holds back."""

import subprocess
import sys

import pytest

from worker.screening import memory

BLOCK, BLOCKS = 100_000, 1000  # bytes: below glibc's threshold for a mapping of its own
# In a process of its own: in this one, what earlier tests left free decides where the small ones go.
SCRIPT = f"""
import os
from pathlib import Path
from worker.screening import memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

blocks, kept = [], []
for _ in range({BLOCKS}):
    blocks.append(bytearray(b"x" * {BLOCK}))
    kept.append(bytearray(2000))  # stays behind the block, as a track's crop stays among frames
blocks.clear()
before = resident()
memory.give_back()
print(before - resident())
"""


@pytest.mark.skipif(memory._trim is None, reason="not glibc: its allocator is not the one that holds back")
def test_gaps_between_what_stays_are_given_back() -> None:
    ended = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert int(ended.stdout) > BLOCK * BLOCKS // 2
