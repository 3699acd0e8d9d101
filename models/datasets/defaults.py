"""How data is split and paired by default."""

from typing import Literal

Augmentation = Literal[
    "world", "flips"
]  # of labelled faces: everything that the world does, or only mirroring

PAIRS_PER_CLIP = 8  # that share one pass through the video codec
SHARES = (0.8, 0.1, 0.1)  # of the groups of labelled data: train, validation, test
