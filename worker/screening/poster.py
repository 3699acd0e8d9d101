"""The poster of a video: one small picture of it, for lists.

It shows the frame with the clearest face that is fit for judging, else with the clearest of the others, else
the sample in the middle: what people would know the video by, whatever the verdict. Only a frame that is
better than all before it is scaled down, so that a poster costs next to nothing.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from models.face import Image
from worker.decoder.reader import Frame
from worker.screening.evidence import Candidate, jpeg

LONGEST_SIDE = 320  # pixels: twice what the queue shows, for dense screens

Rank = tuple[bool, bool, bool, float]


class Poster:
    """Looks at frames one by one and keeps one small picture."""

    def __init__(self, expected_samples: int) -> None:
        self._middle = expected_samples // 2
        self._best: tuple[Rank, Image] | None = None

    def look(self, frame: Frame, faces: Sequence[Candidate]) -> None:
        """`faces` are those of this frame, through the quality gate."""
        rank = self._rank(frame, faces)
        if self._best is None or rank > self._best[0]:
            self._best = rank, _small(frame.image)

    @property
    def picture(self) -> bytes | None:
        """A JPEG; None if there was no frame."""
        return None if self._best is None else jpeg(self._best[1])

    def _rank(self, frame: Frame, faces: Sequence[Candidate]) -> Rank:
        """What comes first: the stream that players show, fit faces, any face, the clearest, the middle."""
        fit = [one for one in faces if one.quality.rejection is None]
        clear = max(
            (one.quality.sharpness for one in fit or faces), default=float(frame.index == self._middle)
        )
        return frame.stream == 0, bool(fit), bool(faces), clear


def _small(image: Image) -> Image:
    height, width = image.shape[:2]
    scale = min(1.0, LONGEST_SIDE / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
