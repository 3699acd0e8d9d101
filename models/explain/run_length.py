"""Segmentations as compressed run lengths: small enough for a database row."""

import json
import zlib

import numpy as np
from numpy.typing import NDArray

LARGEST = 4096 * 4096  # pixels: a stored row must not blow up memory


def encode(segments: NDArray[np.int32]) -> bytes:
    """Pack (H, W) segment numbers."""
    flat = segments.ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=flat[0] - 1))
    lengths = np.diff(starts, append=len(flat))
    packed = {"shape": segments.shape, "values": flat[starts].tolist(), "lengths": lengths.tolist()}
    return zlib.compress(json.dumps(packed).encode())


def decode(content: bytes) -> NDArray[np.int32]:
    """Unpack what `encode` packed; raises ValueError where it did not."""
    try:
        return _unpack(json.loads(zlib.decompress(content)))
    except (zlib.error, KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError("these are no run lengths of a segmentation") from error


def _unpack(packed: dict[str, list[int]]) -> NDArray[np.int32]:
    height, width = packed["shape"]
    if height * width > LARGEST or sum(packed["lengths"]) != height * width:
        raise ValueError("they do not fill the picture")
    return np.repeat(np.array(packed["values"], np.int32), packed["lengths"]).reshape(height, width)
