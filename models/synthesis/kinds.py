"""Pseudo-fakes: forgeries made from genuine faces, by kinds that mirror how real fakes are made.

    self_blend   a face over a changed copy of itself (Shiohara & Yamasaki, CVPR 2022)
    swap         another person's face, aligned and recoloured (Face X-ray, Li et al., CVPR 2020)
    low_res      the face as a decoder of 48 to 128 pixels would leave it
    mouth, eyes  only that part is synthesised, as lip-sync and reenactment do
    upsample     traces of a generator's upsampling: checkerboard, missing high frequencies
    warp         smoothly moved and re-rendered, as reenactment does
    autoencode, codebook, chroma     resynthesised from little (models.synthesis.resynthesis)

and held out:

    poisson      a swap blended in the gradient domain (Perez et al., 2003)
    denoise      smoothed except for its edges, as regressed textures are
    decode, restore, paint           drawn by neural networks (models.synthesis.rendering)

Kinds that are held out are not trained on unless asked for; only they count in validation. The shipped
detector was also tried with some of them in training: docs/model-card.md says why they are not.
"""

from collections.abc import Callable

import cv2
import numpy as np

from models.face import Image
from models.synthesis.blending import (
    Region,
    blend,
    eye_distance,
    region_mask,
)
from models.synthesis.forgery import Forgery, GenuineFace, as_gray, recoloured_other
from models.synthesis.rendering import RENDERINGS
from models.synthesis.resynthesis import RESYNTHESES

__all__ = [
    "HELD_OUT_KINDS",
    "KINDS",
    "TRAINED_KINDS",
    "Forgery",
    "GenuineFace",
    "as_gray",
    "make",
]


def make(kind: str, forgery: Forgery) -> Image:
    """One pseudo-fake of `kind`, one of KINDS: uint8, shaped like the target."""
    fake = KINDS[kind](forgery)
    return as_gray(fake) if forgery.target.gray else fake


def _jitter_colour(image: Image, forgery: Forgery) -> Image:
    strength = forgery.between((18, 40), (4, 18))
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 0] += forgery.rng.uniform(-0.25, 0.25) * strength
    hsv[..., 1] *= 1 + forgery.rng.uniform(-0.02, 0.02) * strength
    hsv[..., 2] = hsv[..., 2] * (1 + forgery.rng.uniform(-0.006, 0.006) * strength)
    hsv[..., 2] += forgery.rng.uniform(-1, 1) * strength
    hsv[..., 0] %= 180
    return np.asarray(cv2.cvtColor(np.clip(hsv, 0, 255).astype(np.uint8), cv2.COLOR_HSV2RGB), np.uint8)


def _move(image: Image, forgery: Forgery, amount: float) -> Image:
    height, width = image.shape[:2]
    unit = eye_distance(forgery.target.landmarks)
    centre = forgery.target.landmarks.mean(0)
    angle = forgery.rng.uniform(-40, 40) * amount
    scale = 1 + forgery.rng.uniform(-0.6, 0.6) * amount
    matrix = np.asarray(
        cv2.getRotationMatrix2D((float(centre[0]), float(centre[1])), angle, scale), np.float64
    )
    matrix[:, 2] += forgery.rng.uniform(-1, 1, 2) * amount * unit
    moved = cv2.warpAffine(
        image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, np.uint8)


def _change_sharpness(image: Image, forgery: Forgery) -> Image:
    unit = eye_distance(forgery.target.landmarks)
    if forgery.rng.random() < 0.5:
        return np.asarray(
            cv2.GaussianBlur(image, (0, 0), max(0.4, forgery.between((0.03, 0.05), (0.008, 0.03)) * unit)),
            np.uint8,
        )
    soft = cv2.GaussianBlur(image, (0, 0), max(0.6, 0.03 * unit))
    gain = forgery.between((1.0, 2.0), (0.3, 1.0))
    return np.asarray(cv2.addWeighted(image, 1 + gain, soft, -gain, 0), np.uint8)


def _through(image: Image, size: int, rng: np.random.Generator) -> Image:
    """Shrink the shorter side to `size` pixels and enlarge it again."""
    height, width = image.shape[:2]
    factor = size / min(height, width)
    if factor >= 1:
        return image
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    back = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)[int(rng.integers(3))]
    return np.asarray(cv2.resize(small, (width, height), interpolation=back), np.uint8)


def _self_blend(forgery: Forgery) -> Image:
    changed = _jitter_colour(forgery.target.image, forgery)
    changed = _change_sharpness(changed, forgery)
    changed = _move(changed, forgery, forgery.between((0.06, 0.14), (0.02, 0.08)))
    return blend(forgery.target.image, changed, forgery.mask("face", "face", "inner"))


def _swap(forgery: Forgery) -> Image:
    mask = forgery.mask("face", "inner")
    source = recoloured_other(forgery, mask, forgery.between((0.3, 0.9), (0.85, 1.0)))
    if forgery.rng.random() < 0.5:
        source = _through(source, int(forgery.between((48, 96), (80, 160))), forgery.rng)
    return blend(forgery.target.image, source, mask)


def _low_res(forgery: Forgery) -> Image:
    size = int(forgery.between((24, 56), (48, 128)))
    image = _move(forgery.target.image, forgery, forgery.between((0.02, 0.06), (0.005, 0.03)))
    return blend(forgery.target.image, _through(image, size, forgery.rng), forgery.mask("face", "inner"))


def _part(region: Region) -> Callable[[Forgery], Image]:
    def make_part(forgery: Forgery) -> Image:
        mask = forgery.mask(region)
        if forgery.rng.random() < 0.5:
            source = recoloured_other(forgery, mask, forgery.between((0.4, 0.9), (0.9, 1.0)))
        else:
            source = _move(forgery.target.image, forgery, forgery.between((0.08, 0.16), (0.03, 0.1)))
            source = _jitter_colour(source, forgery)
        return blend(
            forgery.target.image,
            _through(source, int(forgery.between((32, 64), (56, 128))), forgery.rng),
            mask,
        )

    return make_part


def _upsample(forgery: Forgery) -> Image:
    """Halve, double by repetition (transposed convolutions leave such grids), soften a little."""
    image = forgery.target.image
    height, width = image.shape[:2]
    factor = int(forgery.rng.choice([2, 3, 4], p=[0.6, 0.25, 0.15]))
    small = cv2.resize(
        image, (max(8, width // factor), max(8, height // factor)), interpolation=cv2.INTER_AREA
    )
    grown = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
    grown = cv2.GaussianBlur(grown, (0, 0), forgery.between((0.4, 0.7), (0.6, 1.1)))
    y, x = np.mgrid[:height, :width]
    grid = ((x % factor == 0) ^ (y % factor == 0)).astype(np.float32) * forgery.between((3, 7), (0.5, 3))
    noisy = np.clip(grown.astype(np.float32) + grid[..., None] - grid.mean(), 0, 255).astype(np.uint8)
    return blend(image, noisy, forgery.mask("face", "inner"))


def _warp(forgery: Forgery) -> Image:
    image = forgery.target.image
    height, width = image.shape[:2]
    unit = eye_distance(forgery.target.landmarks)
    cells = max(2, round(width / unit)), max(2, round(height / unit))
    amount = forgery.between((0.06, 0.12), (0.02, 0.07)) * unit
    y, x = np.mgrid[:height, :width].astype(np.float32)
    dx, dy = (
        cv2.resize(
            forgery.rng.normal(0, amount, (cells[1], cells[0])).astype(np.float32),
            (width, height),
            interpolation=cv2.INTER_CUBIC,
        )
        for _ in range(2)
    )
    moved = np.asarray(
        cv2.remap(image, x + dx, y + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )
    moved = _through(moved, int(forgery.between((48, 96), (80, 160))), forgery.rng)
    return blend(image, moved, forgery.mask("face", "inner", "mouth"))


def _poisson(forgery: Forgery) -> Image:
    target = forgery.target
    shape = (target.image.shape[0], target.image.shape[1])
    mask = region_mask(shape, target.landmarks, "inner", rng=forgery.rng, feather=0)
    source = recoloured_other(forgery, mask, 0.5)
    hard = (mask > 0.5).astype(np.uint8) * 255
    hard[[0, 1, -1, -2], :] = 0  # seamlessClone fails where the mask touches the border
    hard[:, [0, 1, -1, -2]] = 0
    x, y, width, height = cv2.boundingRect(hard)
    if width < 4 or height < 4:
        return blend(target.image, source, mask)
    cloned = cv2.seamlessClone(
        source, target.image, hard, (x + width // 2, y + height // 2), cv2.NORMAL_CLONE
    )
    return np.asarray(cloned, np.uint8)


def _denoise(forgery: Forgery) -> Image:
    image = forgery.target.image
    spread = forgery.between((50, 80), (25, 50))
    smooth = np.asarray(cv2.bilateralFilter(image, 7, spread, 4), np.uint8)
    return blend(image, smooth, forgery.mask("face"))


KINDS: dict[str, Callable[[Forgery], Image]] = {
    "self_blend": _self_blend,
    "swap": _swap,
    "low_res": _low_res,
    "mouth": _part("mouth"),
    "eyes": _part("eyes"),
    "upsample": _upsample,
    "warp": _warp,
    **RESYNTHESES,
    "poisson": _poisson,
    "denoise": _denoise,
    **RENDERINGS,
}
HELD_OUT_KINDS = ("poisson", "denoise", *RENDERINGS)
TRAINED_KINDS = tuple(kind for kind in KINDS if kind not in HELD_OUT_KINDS)
