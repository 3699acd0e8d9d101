"""Deletion and insertion (Petsiuk et al., BMVC 2018): whether a map points at what moves the score.

Deletion hides the pixels of a crop, the hottest first: the sooner the score falls, the better the map.
Insertion shows them in the same order on a crop that hides all.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.explain.hiding import SOFT_EDGE, replacement
from models.face import Image

# Of the pixels, after which the classifier is asked: denser where a good map has its say.
FRACTIONS = np.array([0.05, 0.1, 0.2, 0.4, 0.7])

Answers = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Mean logits along the curves."""

    deletion: float  # less what the whole crop has: the lower the better
    insertion: float  # less what the crop has with everything hidden: the higher the better


class Curver:
    """Draws the curves of any map of one crop."""

    def __init__(self, crop: Image, answers: Answers) -> None:
        """`answers`: logits of crops."""
        self._crop, self._answers = crop, answers
        one_segment = np.zeros(crop.shape[:2], np.int32)
        self._hidden = replacement(crop, one_segment, "blur")
        self._full, self._empty = (float(each) for each in answers(np.stack([crop, self._hidden])))

    def curves(self, heat: NDArray[np.float32]) -> Curves:
        """The curves of a map (S, S). Equal pixels come in an order of their own, the same for every map."""
        ranks = _ranks(heat)
        kept = [_soft(ranks >= fraction) for fraction in FRACTIONS]
        crop, hidden = self._crop.astype(np.float32), self._hidden.astype(np.float32)
        pictures = [hidden + part * (crop - hidden) for part in kept]
        pictures += [crop + part * (hidden - crop) for part in kept]
        logits = self._answers(np.rint(np.stack(pictures)).astype(np.uint8)).astype(np.float64)
        deleted, inserted = np.split(logits, 2)
        places = np.concatenate([[0.0], FRACTIONS, [1.0]])
        deletion = np.trapezoid([self._full, *deleted, self._empty], places)
        insertion = np.trapezoid([self._empty, *inserted, self._full], places)
        return Curves(deletion=float(deletion) - self._full, insertion=float(insertion) - self._empty)


def _ranks(heat: NDArray[np.float32]) -> NDArray[np.float64]:
    """The part of the pixels that is hotter than each, in [0, 1)."""
    ties = np.random.default_rng(0).permutation(heat.size)
    order = np.lexsort((ties, -heat.ravel()))
    ranks = np.empty(heat.size)
    ranks[order] = np.arange(heat.size) / heat.size
    return ranks.reshape(heat.shape)


def _soft(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    blurred = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), SOFT_EDGE * len(mask))
    return np.asarray(blurred, np.float32)[..., None]
