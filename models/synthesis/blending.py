"""Face masks from five landmarks, and the blending of one face into another picture.

The blending is that of Face X-ray (Li et al., CVPR 2020): align by landmarks, move the colours, blend
under a deformed, feathered mask. Self-blended images (Shiohara & Yamasaki, CVPR 2022) use it too.
"""

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face import Image, Landmarks
from models.mean_face import MEAN_LANDMARKS

Mask = NDArray[np.float32]  # (H, W) in [0, 1]
Region = Literal["face", "inner", "mouth", "eyes"]

# In the mean face's units.
OUTLINES: dict[Region, NDArray[np.float32]] = {
    "face": np.array(
        [
            [-1.0, -0.35], [-0.55, -0.62], [0.0, -0.68], [0.55, -0.62], [1.0, -0.35], [1.08, 0.3],
            [0.98, 0.95], [0.65, 1.5], [0.25, 1.8], [-0.25, 1.8], [-0.65, 1.5], [-0.98, 0.95],
            [-1.08, 0.3],
        ],
        dtype=np.float32,
    ),
    "inner": np.array(
        [
            [-0.82, -0.3], [0.0, -0.4], [0.82, -0.3], [0.85, 0.3], [0.72, 0.95], [0.45, 1.42],
            [-0.45, 1.42], [-0.72, 0.95], [-0.85, 0.3],
        ],
        dtype=np.float32,
    ),
    "mouth": np.array(
        [[-0.62, 0.95], [0.0, 0.8], [0.62, 0.95], [0.6, 1.35], [0.3, 1.62], [-0.3, 1.62], [-0.6, 1.35]],
        dtype=np.float32,
    ),
    "eyes": np.array(
        [[-0.88, -0.32], [0.0, -0.28], [0.88, -0.32], [0.9, 0.25], [0.0, 0.32], [-0.9, 0.25]],
        dtype=np.float32,
    ),
}  # fmt: skip


def similarity(source: Landmarks, target: Landmarks) -> NDArray[np.float64]:
    """The (2, 3) rotation, scale and shift that brings `source` closest to `target` (Umeyama, 1991)."""
    moved_source, moved_target = source - source.mean(0), target - target.mean(0)
    spread = float((moved_source**2).sum())
    u, values, vt = np.linalg.svd(moved_target.T @ moved_source)
    sign = np.array([1.0, np.sign(np.linalg.det(u @ vt)) or 1.0])
    rotation = (u * sign) @ vt
    scale = float((values * sign).sum()) / max(spread, 1e-9)
    shift = target.mean(0) - scale * rotation @ source.mean(0)
    return np.hstack([scale * rotation, shift[:, None]])


def eye_distance(landmarks: Landmarks) -> float:
    """Pixels between the eyes, at least 1; half the mouth-to-eye distance guards profiles."""
    eyes, mouth = landmarks[:2].mean(0), landmarks[3:].mean(0)
    apart = float(np.linalg.norm(landmarks[1] - landmarks[0]))
    return max(apart, 0.6 * float(np.linalg.norm(mouth - eyes)), 1.0)


def region_mask(
    shape: tuple[int, int], landmarks: Landmarks, region: Region, *, rng: np.random.Generator, feather: float
) -> Mask:
    """A soft mask over `region` of the face with `landmarks`.

    The outline is the mean face's, mapped by a similarity transform and deformed by smooth noise.
    `feather` is the width of the soft edge in eye distances, 0 for a hard edge.
    """
    unit = eye_distance(landmarks)
    matrix = similarity(MEAN_LANDMARKS, landmarks)
    outline = OUTLINES[region] * rng.uniform(0.92, 1.08) + rng.normal(0, 0.04, OUTLINES[region].shape)
    points = outline @ matrix[:, :2].T + matrix[:, 2]
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.round(points * 16).astype(np.int32)], 255, shift=4)
    soft: Mask = _elastic(mask, rng, strength=0.08 * unit, scale=0.5 * unit).astype(np.float32) / np.float32(
        255
    )
    if feather > 0:
        soft = np.asarray(cv2.GaussianBlur(soft, (0, 0), max(0.3, feather * unit / 2)), np.float32)
    return soft


def _elastic(mask: Image, rng: np.random.Generator, *, strength: float, scale: float) -> Image:
    """Move each pixel by smooth noise of `strength` pixels that changes over `scale` pixels."""
    height, width = mask.shape
    grid = (max(2, round(height / max(scale, 1))), max(2, round(width / max(scale, 1))))
    shift = [
        cv2.resize(
            rng.normal(0, strength, grid).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
        )
        for _ in range(2)
    ]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    moved = cv2.remap(mask, x + shift[0], y + shift[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(moved, np.uint8)


def transfer_colour(source: Image, target: Image, mask: Mask, strength: float = 1.0) -> Image:
    """Give `source` the mean and spread of `target`'s colours under `mask` (Reinhard et al., 2001)."""
    inside = mask > 0.5
    if not inside.any():
        return source
    ours = cv2.cvtColor(source, cv2.COLOR_RGB2LAB).astype(np.float32)
    theirs = cv2.cvtColor(target, cv2.COLOR_RGB2LAB).astype(np.float32)
    mean, spread = ours[inside].mean(0), ours[inside].std(0) + 1e-3
    wanted_mean, wanted_spread = theirs[inside].mean(0), theirs[inside].std(0) + 1e-3
    # The noise of a picture with hardly any contrast must not be amplified.
    gain = np.clip(wanted_spread / spread, 0.5, 2.0)
    moved = (ours - mean) * gain + wanted_mean
    mixed = np.clip(ours + strength * (moved - ours), 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(mixed, cv2.COLOR_LAB2RGB), np.uint8)


def blend(target: Image, source: Image, mask: Mask) -> Image:
    """`source` over `target` with opacity `mask`."""
    weight = mask[..., None]
    mixed = target.astype(np.float32) * (1 - weight) + source.astype(np.float32) * weight
    return np.asarray(np.clip(np.round(mixed), 0, 255), np.uint8)


def align(source: Image, source_landmarks: Landmarks, shape: tuple[int, int], landmarks: Landmarks) -> Image:
    """Warp `source` so that its landmarks fall on `landmarks` in a picture of `shape`."""
    matrix = similarity(source_landmarks, landmarks)
    shrinks = float(np.hypot(matrix[0, 0], matrix[1, 0])) < 0.75
    moved = cv2.warpAffine(
        source,
        matrix,
        (shape[1], shape[0]),
        flags=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(moved, np.uint8)


def swap_face(
    target: Image,
    target_landmarks: Landmarks,
    source: Image,
    source_landmarks: Landmarks,
    *,
    rng: np.random.Generator,
    region: Region = "face",
    feather: float = 0.25,
    opacity: float = 1.0,
    colour: float = 1.0,
) -> Image:
    """Put the face of `source` into `target`.

    Args:
        target: uint8 (H, W, 3) RGB, not changed.
        target_landmarks: float32 (5, 2) pixels in `target`.
        source: uint8 (h, w, 3) RGB.
        source_landmarks: float32 (5, 2) pixels in `source`.
        rng: the mask's deformation comes from it.
        region: the part of the face that is replaced.
        feather: width of the soft edge in eye distances.
        opacity: of the new face, in [0, 1].
        colour: how far the source's colours move to the target's, in [0, 1].

    Returns uint8 (H, W, 3).
    """
    shape = (target.shape[0], target.shape[1])
    moved = align(source, source_landmarks, shape, target_landmarks)
    mask = region_mask(shape, target_landmarks, region, rng=rng, feather=feather)
    return blend(target, transfer_colour(moved, target, mask, colour), mask * opacity)
