"""A picture's pyramid on one canvas: one pass of P-net sees every size of face.

P-net's convolutions are not padded, so beside each other the levels give what each gives alone, but for one
thing: along a level of odd length, the last pair that it pools has one pixel of the level and one behind it.
The canvas marks those, and P-net pools none that is marked.

A canvas goes through P-net in strips of one size, whatever the picture's: a network is compiled for that
size, and compiling takes as long as ten pictures.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face import Image

Integral = NDArray[np.int32]  # (H + 1, W + 1, 3): sums of all pixels above and to the left
Pixels = NDArray[np.float32]  # (H, W, 3), -1 to 1 as the networks take it
Canvas = NDArray[np.float32]  # (H, W, 4): of it, and what is added to the pixels before they are pooled
Bins = tuple[NDArray[np.intp], NDArray[np.intp]]  # first pixel of each bin, and first pixel behind it

WINDOW = 12  # pixels of a level that P-net sees at one place
STRIDE = 2  # of these places, pixels
FACTOR = 0.709  # from one level to the next: half the area
HALF_RANGE = 127.5  # gray values
STEP = 0.0078125  # of a gray value on a canvas, 1/128
MARK = -1e4  # below whatever is pooled

# Pixels. The largest level is 12 / FACEWARDEN_DETECTION__MIN_FACE_FRACTION long, which is 300 by default;
# wider canvases are rounded up, so that few widths are compiled.
WIDTH, WIDTHS = 304, 128
STRIP = 192  # rows of a canvas whose places one strip has; ten more belong to their windows

KNOWN = 64  # layouts kept; one has about a megabyte


@dataclass(frozen=True, kw_only=True)
class Level:
    """One size of the picture."""

    scale: float  # of the picture
    top: int  # on the canvas, pixels, even
    left: int
    rows: Bins  # pixels of the picture that each row averages
    columns: Bins
    weights: Pixels  # of each bin's sum

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.weights.shape[:2]
        return height, width

    @property
    def places(self) -> tuple[slice, slice]:
        """Rows and columns of P-net's answers for the canvas that are this level's."""
        height, width = (_places(side) for side in self.size)
        top, left = self.top // STRIDE, self.left // STRIDE
        return slice(top, top + height), slice(left, left + width)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where the levels of all pictures of one size lie."""

    levels: tuple[Level, ...]  # the largest first
    strips: int
    width: int  # of the canvas, pixels

    def canvas(self, integral: Integral) -> Canvas:
        """The levels of a picture."""
        canvas = np.zeros((STRIP * self.strips + WINDOW - STRIDE, self.width, 4), np.float32)
        for level in self.levels:
            (y0, y1), (x0, x1) = level.rows, level.columns
            rows = np.take(integral, y1, axis=0)
            rows -= np.take(integral, y0, axis=0)
            sums = np.take(rows, x1, axis=1)
            sums -= np.take(rows, x0, axis=1)
            pixels = sums.astype(np.float32)
            pixels *= level.weights
            pixels -= HALF_RANGE * STEP
            height, width = level.size
            part = canvas[level.top : level.top + height, level.left : level.left + width]
            part[..., :3] = pixels
            # The first convolution leaves two pixels less.
            if height % 2:
                part[height - 2, :, 3] = MARK
            if width % 2:
                part[:, width - 2, 3] = MARK
        return canvas


def strips(canvas: Canvas) -> Iterator[Canvas]:
    """What P-net is given one by one; its answers follow each other."""
    for start in range(0, len(canvas) - WINDOW + STRIDE, STRIP):
        yield canvas[start : start + STRIP + WINDOW - STRIDE]


def integral(picture: Image) -> Integral:
    """By it, the sum of any rectangle takes four look-ups."""
    return np.asarray(cv2.integral(picture), np.int32)


def bins(start: NDArray[np.intp], length: NDArray[np.intp], count: int) -> Bins:
    """`count` bins of nearly equal size along each line of pixels: those of torch's "area" interpolation."""
    number = np.arange(count)
    return (
        start[:, None] + number * length[:, None] // count,
        start[:, None] - (-(number + 1) * length[:, None] // count),
    )


@lru_cache(maxsize=KNOWN)
def layout(height: int, width: int, smallest: int) -> Layout:
    """For pictures of `height` x `width` pixels, and faces from `smallest` pixels on."""
    scales = []
    scale = WINDOW / smallest
    shorter = min(height, width) * scale
    while shorter >= WINDOW:
        scales.append(scale)
        scale, shorter = scale * FACTOR, shorter * FACTOR
    sizes = [(int(height * scale + 1), int(width * scale + 1)) for scale in scales]
    across = _even(sizes[0][1] + 1)
    across = WIDTH if across <= WIDTH else -(-across // WIDTHS) * WIDTHS
    corners, bottom = _packed([(_even(height + 1), _even(width + 1)) for height, width in sizes], across)
    levels = tuple(
        _level(height, width, scale, size, corner)
        for scale, size, corner in zip(scales, sizes, corners, strict=True)
    )
    return Layout(levels=levels, strips=-(-_places(bottom) * STRIDE // STRIP), width=across)


def _places(side: int) -> int:
    """P-net's answers along so many pixels: pooled by two, rounded up, and two convolutions of three."""
    return side // 2 + side % 2 - 5


def _level(height: int, width: int, scale: float, size: tuple[int, int], corner: tuple[int, int]) -> Level:
    zero = np.zeros(1, np.intp)
    (y0,), (y1,) = bins(zero, np.array([height]), size[0])
    (x0,), (x1,) = bins(zero, np.array([width]), size[1])
    pixels = (y1 - y0)[:, None, None] * (x1 - x0)[None, :, None]
    return Level(
        scale=scale,
        top=corner[0],
        left=corner[1],
        rows=(y0, y1),
        columns=(x0, x1),
        weights=np.repeat(STEP / pixels, 3, axis=2).astype(np.float32),
    )


def _packed(sizes: list[tuple[int, int]], across: int) -> tuple[list[tuple[int, int]], int]:
    """Places rectangles, each smaller than the one before, on a canvas `across` wide.

    Returns their corners (top and left) and the canvas's height.
    """
    corners = []
    free: list[tuple[int, int, int, int]] = []  # top, left, height, width
    bottom = 0
    for height, width in sizes:
        fitting = [room for room in free if room[2] >= height and room[3] >= width]
        room = min(fitting, key=lambda room: room[2] * room[3], default=(bottom, 0, height, across))
        if fitting:
            free.remove(room)
        else:
            bottom += height
        top, left, tall, wide = room
        corners.append((top, left))
        free += [(top, left + width, tall, wide - width), (top + height, left, tall - height, width)]
    return corners, bottom


def _even(number: int) -> int:
    return number + number % 2
