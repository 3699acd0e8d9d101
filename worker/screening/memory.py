"""Memory that the C library holds back, given back to the system.

Frames, crops and a network's tensors of all sizes come and go, and what stays between them keeps glibc from
reusing the gaps: in an hour of video a worker grew by a gigabyte of them. Smaller gaps could be had from the
start by a lower `M_MMAP_THRESHOLD`, but that costs each batch its page faults, a quarter of the CPU time.
"""

import ctypes
from collections.abc import Callable

TRIM_EVERY = 64  # samples between two calls: rarely enough to cost nothing


def _trimmer() -> Callable[[int], int] | None:
    """malloc_trim(3), which only glibc has."""
    return getattr(ctypes.CDLL(None), "malloc_trim", None)


_trim = _trimmer()


def give_back() -> None:
    """Return free pages to the system, wherever they lie."""
    if _trim is not None:
        _trim(0)
