"""Segmentations as compressed run lengths: small enough for a database row."""

import json
import zlib
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

LARGEST = 4096 * 4096  # pixels, so that a stored row cannot exhaust memory


class Runs(TypedDict):
    """A segmentation, row by row: `values[i]` repeats `lengths[i]` times, `height` x `width` in total."""

    height: int
    width: int
    values: list[int]
    lengths: list[int]


def encode(segments: NDArray[np.int32]) -> bytes:
    """Pack (H, W) segment numbers."""
    found = _runs(segments)
    packed = {"shape": segments.shape, "values": found["values"], "lengths": found["lengths"]}
    return zlib.compress(json.dumps(packed).encode())


def decode(content: bytes) -> NDArray[np.int32]:
    """Unpack what `encode` packed. Raises ValueError for anything else."""
    try:
        return _unpack(json.loads(zlib.decompress(content)))
    except (zlib.error, KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError("these are no run lengths of a segmentation") from error


def runs(content: bytes) -> Runs:
    """The run lengths in what `encode` packed. Raises ValueError for anything else."""
    return _runs(decode(content))


def _runs(segments: NDArray[np.int32]) -> Runs:
    flat = segments.ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=flat[0] - 1))
    height, width = segments.shape
    lengths = np.diff(starts, append=len(flat)).tolist()
    return Runs(height=height, width=width, values=flat[starts].tolist(), lengths=lengths)


def _unpack(packed: dict[str, list[int]]) -> NDArray[np.int32]:
    height, width = packed["shape"]
    if height * width > LARGEST or sum(packed["lengths"]) != height * width:
        raise ValueError("they do not fill the picture")
    return np.repeat(np.array(packed["values"], np.int32), packed["lengths"]).reshape(height, width)
