"""Short clips of genuine videos and forgeries of them, to measure and calibrate whole-video scores.

A forgery draws the same random numbers for every frame, so that its mask, colours and blur stay the same
over time, as those of a real tool do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.datasets.faces import FaceRecord, canvas
from models.datasets.media import GENUINE
from models.face import Image
from models.synthesis.kinds import Forgery, GenuineFace, make

RATE = 4  # frames a second of the clips


@dataclass(frozen=True, kw_only=True)
class ClipSource:
    """The frames of one genuine video, with the faces found in them."""

    name: str
    frames: list[Image]
    faces: list[Any]  # per frame the most probable models.face.Face, or None


def forge(source: ClipSource, kind: str, others: Sequence[FaceRecord], *, seed: int) -> Iterator[Image]:
    """The frames with their most probable face forged by `kind`; GENUINE leaves them alone."""
    other = others[seed % len(others)]
    for frame, face in zip(source.frames, source.faces, strict=True):
        if kind == GENUINE or face is None:
            yield frame
            continue
        rng = np.random.default_rng(seed)
        target = GenuineFace(image=frame, landmarks=face.landmarks, gray=False)
        stranger = canvas(other, 256, margin=1.5, rng=rng)
        yield make(kind, Forgery(target=target, other=stranger, difficulty=0.4, rng=rng))
