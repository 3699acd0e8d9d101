"""Where a pair's fake is forged, in cells: the ground truth for a network that localises forgeries."""

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face import Image

GRID = 20  # cells a side of the truth; a network's own grid is coarser and averages over them
UNSEEN = 2  # gray values: a smaller difference is a soft edge's tail, which no codec preserves
CLOSED = 0.1  # of the picture's side: gaps in the forged region, where it happened to change nothing

Parts = NDArray[np.float32]  # (N, GRID, GRID) in [0, 1], NaN where nobody knows


def forged_part(genuine: Image, fake: Image) -> Parts:
    """The fraction of each cell that differs between two uint8 (S, S, 3): float32 (GRID, GRID) in [0, 1]."""
    changed = (cv2.absdiff(genuine, fake).max(axis=2) > UNSEEN).astype(np.uint8)
    width = max(1, round(CLOSED * len(changed)))
    closed = cv2.morphologyEx(changed, cv2.MORPH_CLOSE, np.ones((width, width), np.uint8))
    return np.asarray(cv2.resize(closed.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA))


def parts_of(labels: NDArray[np.float32]) -> Parts:
    """What is known without the genuine original: nothing in a genuine picture is forged."""
    known = np.where(labels > 0, np.nan, 0).astype(np.float32)
    return np.broadcast_to(known[:, None, None], (len(labels), GRID, GRID)).copy()
