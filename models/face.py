"""A face as the detector sees it: plain values, free of torch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (H, W, 3) RGB
Landmarks = NDArray[np.float32]  # (5, 2) pixels: left eye, right eye, nose, left and right mouth corner


# Degrees of roll from which a face is levelled: the networks learned from upright heads, and call tilted ones
# fakes. The mean score of 17 frames of genuine films turned by 15, 20, 30 and 40 degrees is 0.16, 0.20, 0.31
# and 0.43; levelled 0.09, 0.07, 0.17 and 0.19; turned there and back, or unchanged, 0.07.
LEVELLED_FROM = 10.0


@dataclass(frozen=True, kw_only=True)
class Box:
    """A bounding box in pixels of the full frame; it may reach slightly over the frame's edge."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def centre(self) -> tuple[float, float]:
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    def iou(self, other: "Box") -> float:
        """Intersection over union with `other`, in [0, 1]."""
        width = min(self.x1, other.x1) - max(self.x0, other.x0)
        height = min(self.y1, other.y1) - max(self.y0, other.y0)
        if width <= 0 or height <= 0:
            return 0.0
        shared = width * height
        union = self.width * self.height + other.width * other.height - shared
        return shared / union if union > 0 else 0.0


@dataclass(frozen=True, kw_only=True)
class Face:
    """One detection in one frame."""

    box: Box
    landmarks: Landmarks
    probability: float  # of being a face, by the detector, in [0, 1]
    turn: int = (
        0  # degrees clockwise by which the frame is turned so that the face is upright: 0, 90, 180, 270
    )

    @property
    def tilt(self) -> float:
        """Degrees clockwise by which the face is tilted in the frame as it is.

        From the lines between the eyes and between the corners of the mouth, weighted by their length.
        """
        left_eye, right_eye, _, left_mouth, right_mouth = self.landmarks
        across = (right_eye - left_eye) + (right_mouth - left_mouth)
        return float(np.degrees(np.arctan2(across[1], across[0])))

    @property
    def roll(self) -> float:
        """The tilt that remains once the frame is turned: of the head towards a shoulder, in [-180, 180]."""
        angle = self.tilt + self.turn
        return angle - 360 * round(angle / 360)
