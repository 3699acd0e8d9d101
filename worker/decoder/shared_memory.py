"""Pixels on their way from the decoder process to its reader, in shared memory without a name.

The memory is sized once for two frames of the largest allowed size; unwritten pages take no memory. The
decoder writes through a mapping (its limit on written files is zero bytes). The reader copies out with
`preadv`, not through a mapping: a hostile decoder can then give it wrong pixels, but cannot crash it by
truncating the memory.

This module is imported by the decoder process and must stay free of numpy.
"""

import mmap
import os
from collections.abc import Callable

READ_AHEAD = 64 * 1024**2  # bytes of frames that may wait for the reader; ten of 1080p
MOST_WAITING = 8  # frames; more would only add memory
ALIGNMENT = 4096  # bytes


def region_bytes(max_pixels: int) -> int:
    """Size of the shared memory for RGB frames of up to `max_pixels`."""
    return max(2 * _aligned(3 * max_pixels), READ_AHEAD)


def create_region(size: int) -> int:
    """A descriptor of `size` bytes of shared memory, which is freed with its last descriptor."""
    descriptor = os.memfd_create("facewarden-frames", os.MFD_CLOEXEC)
    os.ftruncate(descriptor, size)
    return descriptor


def read_into(descriptor: int, target: memoryview, offset: int) -> None:
    """Fill `target` with the shared bytes from `offset` on.

    Raises ValueError if there are too few.
    """
    done = 0
    while done < len(target):
        count = os.preadv(descriptor, [target[done:]], offset + done)
        if count == 0:
            raise ValueError("the shared memory is shorter than the frame")
        done += count


class FrameWriter:
    """The decoder's end: slots for frames, used in turn, each only after the reader has copied it out."""

    def __init__(self, descriptor: int, size: int, wait: Callable[[], None]) -> None:
        """`wait` returns when the reader has taken one more frame."""
        self._memory = memoryview(mmap.mmap(descriptor, size))
        self._wait = wait
        self._place_bytes = 0
        self._places = 0
        self._next = 0
        self._waiting = 0  # frames that the reader has not taken yet

    def place(self, size: int) -> tuple[int, memoryview]:
        """The offset of a free slot of `size` bytes, and the slot; waits until there is one."""
        if size > self._place_bytes:
            self._divide(size)
        while self._waiting >= self._places:
            self._take_one_back()
        offset = self._next * self._place_bytes
        self._next = (self._next + 1) % self._places
        self._waiting += 1
        return offset, self._memory[offset : offset + size]

    def _divide(self, size: int) -> None:
        """Larger frames than before: wait until all slots are free, and divide the memory again."""
        while self._waiting:
            self._take_one_back()
        self._place_bytes = _aligned(size)
        fitting = len(self._memory) // self._place_bytes
        self._places = min(fitting, MOST_WAITING, max(2, READ_AHEAD // self._place_bytes))
        self._next = 0
        if self._places < 1:
            raise ValueError(f"a frame of {size} bytes does not fit into the shared memory")

    def _take_one_back(self) -> None:
        self._wait()
        self._waiting -= 1


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
