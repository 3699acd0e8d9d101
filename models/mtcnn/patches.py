"""Patches of pictures, averaged to the size that a network takes, many at once."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from models.mtcnn.pyramid import HALF_RANGE, STEP, bins

Integrals = NDArray[np.int32]  # (N, H + 1, W + 1, 3), of pictures of one size
Patches = NDArray[np.float32]  # (N, S, S, 3), -1 to 1
Corners = NDArray[np.intp]  # (N, 4): first column and row, first column and row behind the patch

TOGETHER = 64  # patches cut at once, while a network looks at those before; a multiple of what it takes


def cut(integrals: Integrals, pictures: NDArray[np.intp], corners: Corners, size: int) -> Iterator[Patches]:
    """The patches at `corners`, each of the picture that `pictures` numbers; TOGETHER at a time."""
    for start in range(0, len(corners), TOGETHER):
        part = slice(start, start + TOGETHER)
        yield _averaged(integrals, pictures[part], corners[part], size)


def _averaged(integrals: Integrals, pictures: NDArray[np.intp], corners: Corners, size: int) -> Patches:
    _, height, width, _ = integrals.shape
    flat = integrals.reshape(-1, 3)
    x0, x1 = bins(corners[:, 0], corners[:, 2] - corners[:, 0], size)
    y0, y1 = bins(corners[:, 1], corners[:, 3] - corners[:, 1], size)
    first = pictures[:, None] * height
    top, bottom = (((first + y) * width)[:, :, None] for y in (y0, y1))
    left, right = x0[:, None, :], x1[:, None, :]
    sums = np.take(flat, bottom + right, axis=0)
    sums -= np.take(flat, bottom + left, axis=0)
    sums -= np.take(flat, top + right, axis=0)
    sums += np.take(flat, top + left, axis=0)
    pixels: Patches = sums.astype(np.float32)
    pixels *= (STEP / ((y1 - y0)[:, :, None] * (x1 - x0)[:, None, :])).astype(np.float32)[..., None]
    pixels -= HALF_RANGE * STEP
    return pixels
