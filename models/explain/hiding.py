"""What a crop looks like where LIME hides parts of it.

A hidden part must not bring something of its own that looks forged: hard edges and patches of one colour do,
to a network that has learned to see pasted faces.
"""

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face import Image

Hidden = Literal["blur", "inpaint", "mean"]

BLUR = 0.045  # standard deviation, of the crop's side: eyes and mouth become spots
SOFT_EDGE = 0.0135  # standard deviation, of the crop's side, of the passage from shown to hidden
INPAINTED = 112  # pixels a side at which gaps are filled: the filling is smooth, and four times as fast there
NEAR = 3  # pixels around a gap that it is filled from


class Hiding:
    """One crop, of which any segments can be hidden."""

    def __init__(self, crop: Image, segments: NDArray[np.int32], how: Hidden) -> None:
        """`segments`: of each pixel, numbered from 0 without gaps.

        `how`: "mean" shows a hidden segment in its mean colour, with a hard edge, as the lime package does;
        "blur" blurred and "inpaint" filled from around it, both with a soft edge.
        """
        self._crop, self._segments = crop, segments
        self._replaced = replacement(crop, segments, how)
        self._soft = None if how == "mean" else _soft(segments)

    def shown(self, keep: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The crop (N, S, S, 3) with only the segments that `keep` (N, segments), 0 or 1, keeps."""
        if self._soft is None:
            kept = keep.astype(bool)[:, self._segments]  # (N, S, S) by one lookup
            return np.where(kept[..., None], self._crop, self._replaced)
        opacity = np.tensordot(keep.astype(np.float32), self._soft, axes=1)[..., None]
        replaced = self._replaced.astype(np.float32)
        mixed = replaced + opacity * (self._crop - replaced)
        return np.rint(mixed).astype(np.uint8)


def replacement(crop: Image, segments: NDArray[np.int32], how: Hidden) -> Image:
    """The crop with every segment hidden."""
    if how == "blur":
        return np.asarray(cv2.GaussianBlur(crop, (0, 0), BLUR * len(crop)), np.uint8)
    return _inpainted(crop, segments) if how == "inpaint" else mean_colours(crop, segments)


def mean_colours(crop: Image, segments: NDArray[np.int32]) -> Image:
    """The crop with every segment in its mean colour."""
    counts = np.bincount(segments.ravel())
    means = [np.bincount(segments.ravel(), weights=crop[..., c].ravel()) / counts for c in range(3)]
    # lime stores the means in an integer picture: truncated, not rounded.
    return np.stack(means, axis=-1)[segments].astype(np.uint8)


def _inpainted(crop: Image, segments: NDArray[np.int32]) -> Image:
    """The crop with every segment filled from what surrounds it (Telea, 2004)."""
    filled = crop.copy()
    size = (INPAINTED, INPAINTED)
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
    for number in range(int(segments.max()) + 1):
        inside = segments == number
        gap = cv2.resize(inside.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        gap = cv2.dilate(gap, np.ones((3, 3), np.uint8))
        around = cv2.inpaint(small, gap, NEAR, cv2.INPAINT_TELEA)
        large = cv2.resize(around, (crop.shape[1], crop.shape[0]), interpolation=cv2.INTER_LINEAR)
        filled[inside] = large[inside]
    return filled


def _soft(segments: NDArray[np.int32]) -> NDArray[np.float32]:
    """The opacity (segments, S, S) of each segment, soft at its edge; at each pixel they add up to 1."""
    width = SOFT_EDGE * len(segments)
    masks = [(segments == number).astype(np.float32) for number in range(int(segments.max()) + 1)]
    return np.stack([cv2.GaussianBlur(mask, (0, 0), width) for mask in masks])
