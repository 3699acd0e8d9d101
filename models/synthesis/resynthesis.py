"""Kinds of pseudo-fakes where the face is resynthesised from little information, as generators do.

autoencode   the face through a few principal components of another person's patches, as a decoder trained
             on that person would reproduce it
codebook     the face assembled from patches of another person, as vector-quantised generators do
chroma       the face decoded with another colour matrix or range, its colour slightly displaced
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face import Image
from models.synthesis.blending import blend
from models.synthesis.forgery import Forgery, recoloured_other

Floats = NDArray[np.float32]

WIDE_PATCH = 8  # pixels, of the autoencoder
FINE_PATCH = 4  # pixels, of the codebook

# Luma of R, G and B: standard and high definition (ITU-R BT.601 and BT.709).
LUMA_SD = np.array([0.299, 0.587, 0.114], np.float32)
LUMA_HD = np.array([0.2126, 0.7152, 0.0722], np.float32)


def _patches(image: Image, size: int, step: int) -> tuple[Floats, tuple[int, int]]:
    """(N, size * size * 3) and how many rows and columns of patches there are."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (size, size, 3))[::step, ::step, 0]
    rows, columns = windows.shape[:2]
    return windows.reshape(rows * columns, -1).astype(np.float32), (rows, columns)


def _assembled(patches: Floats, grid: tuple[int, int], like: Image, size: int, step: int) -> Image:
    """The mean of overlapping patches; outside them, the picture itself."""
    total, count = np.zeros(like.shape, np.float32), np.zeros((*like.shape[:2], 1), np.float32)
    shaped = patches.reshape(*grid, size, size, 3)
    height, width = step * (grid[0] - 1) + 1, step * (grid[1] - 1) + 1
    for y in range(size):
        for x in range(size):
            total[y : y + height : step, x : x + width : step] += shaped[:, :, y, x]
            count[y : y + height : step, x : x + width : step] += 1
    filled = np.where(count > 0, total / np.maximum(count, 1), like)
    return np.clip(np.round(filled), 0, 255).astype(np.uint8)


def _autoencode(forgery: Forgery) -> Image:
    image = forgery.target.image
    mask = forgery.mask("face", "inner")
    step = WIDE_PATCH // 2
    learnt, _ = _patches(recoloured_other(forgery, mask), WIDE_PATCH, step)
    mean = learnt.mean(axis=0)
    _, components = np.linalg.eigh((learnt - mean).T @ (learnt - mean))
    kept = components[:, -max(1, round(forgery.between((3, 8), (8, 24)))) :]  # the largest come last
    ours, grid = _patches(image, WIDE_PATCH, step)
    coded = ((ours - mean) @ kept) @ kept.T + mean
    return blend(image, _assembled(coded.astype(np.float32), grid, image, WIDE_PATCH, step), mask)


def _codebook(forgery: Forgery) -> Image:
    image = forgery.target.image
    mask = forgery.mask("face", "inner")
    step = FINE_PATCH // 2
    words, _ = _patches(recoloured_other(forgery, mask), FINE_PATCH, FINE_PATCH)
    size = min(len(words), round(forgery.between((48, 96), (128, 512))))
    words = words[forgery.rng.choice(len(words), size, replace=False)]
    ours, grid = _patches(image, FINE_PATCH, step)
    # A codeword gives the texture; the brightness stays the patch's own, else the face would fall apart.
    texture, light = _centred(words), ours.reshape(len(ours), -1, 3).mean(axis=1)
    centred = _centred(ours)
    distance = (texture**2).sum(axis=1) - 2 * centred @ texture.T
    chosen = texture[distance.argmin(axis=1)].reshape(len(ours), -1, 3) + light[:, None]
    return blend(image, _assembled(chosen.reshape(len(ours), -1), grid, image, FINE_PATCH, step), mask)


def _centred(patches: Floats) -> Floats:
    coloured = patches.reshape(len(patches), -1, 3)
    return np.asarray((coloured - coloured.mean(axis=1, keepdims=True)).reshape(len(patches), -1), np.float32)


def _chroma(forgery: Forgery) -> Image:
    image = forgery.target.image
    height, width = image.shape[:2]
    coded = image.astype(np.float32) @ _to_luma_and_chroma(LUMA_SD).T
    shift = forgery.between((1.0, 2.5), (0.3, 1.2)) * forgery.rng.choice([-1, 1], 2)
    moved = cv2.warpAffine(
        coded[..., 1:],
        np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float64),
        (width, height),
        borderMode=cv2.BORDER_REPLICATE,
    )
    coded = np.dstack([_another_range(coded[..., 0], forgery), moved])
    decoded = coded @ np.linalg.inv(_to_luma_and_chroma(LUMA_HD)).T
    wrong = np.clip(np.round(decoded), 0, 255).astype(np.uint8)
    return blend(image, wrong, forgery.mask("face", "inner"))


def _to_luma_and_chroma(luma: Floats) -> NDArray[np.float64]:
    """The matrix from RGB to luma and the two colour differences."""
    red, _, blue = luma
    return np.array(
        [
            luma,
            (np.array([0, 0, 1]) - luma) / (2 * (1 - blue)),
            (np.array([1, 0, 0]) - luma) / (2 * (1 - red)),
        ],
        np.float64,
    )


def _another_range(luma: NDArray[np.float64], forgery: Forgery) -> NDArray[np.float64]:
    """Luma of 16..235 partly taken for 0..255, or the reverse."""
    part = forgery.between((0.5, 1.0), (0.15, 0.5))
    widened = (luma - 16) * 255 / 219
    narrowed = luma * 219 / 255 + 16
    other = widened if forgery.rng.random() < 0.5 else narrowed
    return luma + part * (other - luma)


RESYNTHESES: dict[str, Callable[[Forgery], Image]] = {
    "autoencode": _autoencode,
    "codebook": _codebook,
    "chroma": _chroma,
}
