"""From the logits of a face's frames to those of its stretches: a few frames in a row, robustly averaged."""

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

TRIM_FROM = 5  # usable frames from which a track's single highest one is left out


def stretch_logits(logits: Sequence[float], *, frames: int, top_fraction: float) -> tuple[float, ...]:
    """The robust mean of each stretch of `frames` of a track, by time; a shorter track is one stretch."""
    values = np.asarray(logits, np.float64)
    stretches = sliding_window_view(values, frames) if len(values) > frames else values[None]
    return tuple(_top_means(stretches, top_fraction).tolist())


def _top_means(frames: NDArray[np.float64], top_fraction: float) -> NDArray[np.float64]:
    """A robust mean of the top part of each row of frame logits.

    A forgery need not be in every frame, so the highest part counts; one outlier must not flag a track, so
    from five frames on the single highest is left out. Raising a logit never lowers the result.
    """
    ordered = np.sort(frames, axis=1)[:, ::-1]
    if ordered.shape[1] >= TRIM_FROM:
        ordered = ordered[:, 1:]
    return np.asarray(ordered[:, : max(1, round(ordered.shape[1] * top_fraction))].mean(axis=1), np.float64)
