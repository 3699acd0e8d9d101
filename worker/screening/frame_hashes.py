"""Perceptual hashes of frames: PDQ, of 256 bits, which stays nearly the same when a picture is coded anew.

The algorithm is that of "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm" (Facebook,
2019), and how frames of a video are chosen and compared follows its vPDQ. It is written out here because the
registered packages (`pdqhash`, `vpdq`) come without wheels and would need a compiler at every installation.
A test compares it with what `pdqhash` gave.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.known import HASH_BITS, FrameHash, distance
from core.settings import KnownSettings

SIDE = 512  # pixels to which every frame is scaled first, as vPDQ does
BUFFER = 64  # side of what is left after smoothing
KEPT = 16  # frequencies per direction, without the constant
EDGES_PER_QUALITY = 90  # the paper's scale of the gradients' sum


def _smoothing() -> list[tuple[slice, NDArray[np.float32]]]:
    """What two passes of PDQ's box filter and picking every eighth row do to a column.

    Each of the 64 picked rows is made of up to 7 of the 512. Returns the first of those 7 of each picked row,
    then the second, and so on: which rows they are, and their weights (up to 64 x 1). As a product of
    matrices it would wake all threads of the machine for every frame.
    """
    width = (SIDE + 2 * BUFFER - 1) // (2 * BUFFER)
    after = (width + 2) // 2 - 1  # how far the window reaches past its pixel
    before = width - 1 - after
    box = np.zeros((SIDE, SIDE))
    for row in range(SIDE):
        window = box[row, max(0, row - before) : row + after + 1]
        window[:] = 1 / len(window)
    picked = ((np.arange(BUFFER) + 0.5) * SIDE / BUFFER).astype(int)
    passes = []
    for offset in range(-2 * before, 2 * after + 1):
        rows = picked + offset
        rows = rows[rows < SIDE]  # the last window is cut off
        weights = (box @ box)[picked[: len(rows)], rows][:, None].astype(np.float32)
        passes.append((slice(rows[0], None, SIDE // BUFFER), weights))
    return passes


def _cosines() -> NDArray[np.float32]:
    """The discrete cosine transform's rows 1 to 16: 16 x 64."""
    frequency, place = np.arange(1, KEPT + 1)[:, None], np.arange(BUFFER)[None]
    wave = np.cos(np.pi / 2 / BUFFER * frequency * (2 * place + 1))
    scaled: NDArray[np.float32] = (np.sqrt(2 / BUFFER) * wave).astype(np.float32)
    return scaled


_PASSES, _COSINES = _smoothing(), _cosines()


def hash_frame(image: NDArray[np.uint8], time_seconds: float) -> FrameHash:
    """The hash of a frame and of its mirror image.

    Args:
        image: height x width x 3, RGB.
        time_seconds: of the frame, from the beginning.
    """
    luma = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    small = _square(luma)
    columns = _picked(small).T
    smooth = _picked(columns).T
    # Not by the signs of the waves: what the filter picks is not symmetric, which costs a dozen bits.
    mirrored = _picked(columns[::-1]).T
    return FrameHash(
        time_seconds=time_seconds, pdq=_bits(smooth), mirrored=_bits(mirrored), quality=_quality(smooth)
    )


def _square(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture at 512 x 512 pixels.

    Averages over parts of pixels cost up to five times as much as those of whole blocks of 2, 4 or 8. So a
    large picture is made of such blocks first: of 256 bits, 0 to 2 differ from those of one pass, and up to
    6 where a block is left over at the edge.
    """
    block = 1
    while max(luma.shape) >= 2 * block * SIDE:
        block *= 2
    if block > 1:
        height, width = luma.shape[0] // block, luma.shape[1] // block
        whole = luma[: height * block, : width * block]
        luma = np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.resize(luma, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)


def _picked(picture: NDArray[Any]) -> NDArray[np.float32]:
    """512 rows as 64, smoothed; of bytes or float32."""
    found = np.zeros((BUFFER, picture.shape[1]), np.float32)
    product = np.empty_like(found)  # small enough for the processor's cache, and used again
    for rows, weights in _PASSES:
        part = product[: len(weights)]
        found[: len(weights)] += np.multiply(picture[rows], weights, out=part)
    return found


def _bits(smooth: NDArray[np.float32]) -> bytes:
    waves = _COSINES @ smooth @ _COSINES.T
    # The lower of the two middle values, as the paper's search for the median finds it.
    median = np.partition(waves, HASH_BITS // 2 - 1, axis=None)[HASH_BITS // 2 - 1]
    # The first wave is the last bit of the hash as it is written.
    return np.packbits((waves > median).ravel()[::-1]).tobytes()


def _quality(smooth: NDArray[np.float32]) -> int:
    """How much there is to tell the picture by, 0 to 100: the sum of its gradients, in whole percents."""
    edges = sum(int(np.abs(np.trunc(np.diff(smooth, axis=axis) * (100 / 255))).sum()) for axis in (0, 1))
    return min(edges // EDGES_PER_QUALITY, 100)


@dataclass
class FrameHashes:
    """The hashes of one video's frames, as they are worth keeping: telling, different, and not too many."""

    settings: KnownSettings
    _kept: list[FrameHash] = field(default_factory=list, init=False)
    _apart: int = field(default=0, init=False)  # bits by which those that are kept differ from each other

    def __post_init__(self) -> None:
        self._apart = self.settings.same_bits + 1

    def add(self, image: NDArray[np.uint8], time_seconds: float) -> None:
        """Hash a frame (height x width x 3, RGB), and keep the hash unless it says nothing new."""
        if not self.settings.enabled:
            return
        found = hash_frame(image, time_seconds)
        if found.quality < self.settings.min_quality or not self._is_new(found):
            return
        self._kept.append(found)
        while len(self._kept) > self.settings.max_frames:
            self._thin_out()

    @property
    def kept(self) -> Sequence[FrameHash]:
        """By time, as the frames came."""
        return tuple(self._kept)

    def _is_new(self, found: FrameHash) -> bool:
        return all(distance(found.pdq, other.pdq) >= self._apart for other in self._kept)

    def _thin_out(self) -> None:
        """Ask for a greater difference, from all that were kept as well: scenes stay, repetitions go."""
        self._apart += 4
        before, self._kept = self._kept, []
        for each in before:
            if self._is_new(each):
                self._kept.append(each)
