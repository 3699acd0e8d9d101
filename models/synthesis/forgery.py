"""What a pseudo-fake is made of: a genuine face, another person's, and a difficulty."""

from dataclasses import dataclass

import cv2
import numpy as np

from models.face import Image, Landmarks
from models.synthesis.blending import Mask, Region, align, region_mask, transfer_colour


@dataclass(frozen=True, kw_only=True)
class GenuineFace:
    """A picture with one real face."""

    image: Image  # uint8 (H, W, 3) RGB
    landmarks: Landmarks  # float32 (5, 2) pixels in `image`
    gray: bool  # whether the source has no colour; its fakes must then have none either


@dataclass(frozen=True, kw_only=True)
class Forgery:
    """What a kind of forgery works with."""

    target: GenuineFace
    other: GenuineFace  # another person
    difficulty: float  # [0, 1]: 0 is hard edges and full opacity, 1 is nearly invisible
    rng: np.random.Generator

    def between(self, easy: tuple[float, float], hard: tuple[float, float]) -> float:
        """A random number from a range that moves from `easy` to `hard` with the difficulty."""
        low, high = (a + self.difficulty * (b - a) for a, b in zip(easy, hard, strict=True))
        return float(self.rng.uniform(low, high))

    def mask(self, *regions: Region) -> Mask:
        region = regions[int(self.rng.integers(len(regions)))]
        shape = (self.target.image.shape[0], self.target.image.shape[1])
        feather = self.between((0.02, 0.12), (0.1, 0.5))
        soft = region_mask(shape, self.target.landmarks, region, rng=self.rng, feather=feather)
        return soft * np.float32(self.between((0.9, 1.0), (0.5, 1.0)))


def other_on_target(forgery: Forgery) -> Image:
    """The other person's face where the target's is, in its own colours."""
    shape = (forgery.target.image.shape[0], forgery.target.image.shape[1])
    return align(forgery.other.image, forgery.other.landmarks, shape, forgery.target.landmarks)


def recoloured_other(forgery: Forgery, mask: Mask, strength: float = 1.0) -> Image:
    """The other person's face where the target's is, its colours moved to the target's."""
    return transfer_colour(other_on_target(forgery), forgery.target.image, mask, strength)


def as_gray(image: Image) -> Image:
    """The picture without its colour, still (H, W, 3)."""
    return np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)
