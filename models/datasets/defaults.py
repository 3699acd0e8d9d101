"""How data are divided and paired where nobody says otherwise."""

from typing import Literal

Augmentation = Literal["world", "flips"]  # of labelled faces: all that the world does, or mirroring alone

PAIRS_PER_CLIP = 8  # that share one pass through the video codec
SHARES = (0.8, 0.1, 0.1)  # of the groups of labelled data: train, validation, test
