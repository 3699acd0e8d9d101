"""LIME (Ribeiro et al., 2016) for face crops: the lime package's results, faster.

The perturbations, distances and the fit are those of `lime.lime_image`: the same seed and segmentation give
the same masks, weights and top segments, and the tests compare them with the package's. Only the cost
differs: the package copies the picture for every sample and masks it segment by segment; here whole batches
are composed by one lookup.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from core.outcomes import ExplanationMethod
from core.settings import LimeSettings
from models.explain.explanation import Explanation
from models.explain.segmentation import segment
from models.face import Image

KERNEL_WIDTH = 0.25  # of lime_image
BATCH = 32  # perturbed crops composed at once: 32 at 299 px are 8.6 MB

Classify = Callable[[NDArray[np.uint8]], NDArray[np.float32]]  # crops (N, S, S, 3) -> P(fake) (N,)


@dataclass(frozen=True, kw_only=True)
class _Fit:
    weights: NDArray[np.float64]  # per segment
    intercept: float
    r2: float
    local_prediction: float

    def top(self, count: int) -> list[int]:
        """The strongest segments first; fewer than `count` if the others do not matter at all."""
        ranked = np.argsort(-np.abs(self.weights), kind="stable")[:count]
        return [int(number) for number in ranked if self.weights[number] != 0]


def explain(
    crop: Image,
    classify: Classify,
    settings: LimeSettings,
    *,
    segments: NDArray[np.int32] | None = None,
    heartbeat: Callable[[], None] = lambda: None,
) -> Explanation:
    """Explain why `classify` finds `crop` fake.

    Args:
        crop: uint8 (S, S, 3), exactly what was classified.
        classify: probabilities of "fake" in [0, 1] for crops of that size.
        settings: samples, seeds, segmentation.
        segments: a segmentation to use instead of the settings' one: int32 (S, S), from 0 without gaps.
        heartbeat: called between batches; may raise to stop.

    Stability compares the top segments of `stability_seeds` fits by their mean pairwise Jaccard index. The
    first fit uses all `samples` of the seed; each other fit a third as many fresh ones, to limit the cost, so
    stability is understated: what it calls stable is. It is None for a single fit, and if no segment of any
    fit matters (a classifier that answers every perturbation the same).
    """
    chosen = segment(crop, settings) if segments is None else segments
    fudged = mean_colours(crop, chosen)
    fits = []
    for number in range(settings.stability_seeds):
        samples = settings.samples if number == 0 else max(10, settings.samples // 3)
        data = masks(settings.seed + number, samples, int(chosen.max()) + 1)
        probabilities = _classify_masked(
            data, crop=crop, fudged=fudged, segments=chosen, classify=classify, heartbeat=heartbeat
        )
        fits.append(fit(data, probabilities))
    first = fits[0]
    tops = [set(each.top(settings.top_segments)) for each in fits]
    overlaps = [len(a & b) / len(a | b) for a, b in combinations(tops, 2) if a | b]
    largest = max(float(np.abs(first.weights).max()), 1e-12)
    return Explanation(
        method=ExplanationMethod.LIME,
        parameters={
            "samples": settings.samples,
            "segmentation": settings.segmentation,
            "segments": int(chosen.max()) + 1,
            "kernel_width": KERNEL_WIDTH,
            "hide_color": "mean of the segment",
            "top_segments": settings.top_segments,
            "stability_seeds": settings.stability_seeds,
        },
        seed=settings.seed,
        segments=chosen,
        weights=[float(weight) for weight in first.weights],
        intercept=first.intercept,
        local_prediction=first.local_prediction,
        r2=first.r2,
        stability=float(np.mean(overlaps)) if overlaps else None,
        top_segments=first.top(settings.top_segments),
        heat=(first.weights / largest)[chosen].astype(np.float32),
    )


def masks(seed: int, samples: int, segments: int) -> NDArray[np.int64]:
    """The segments that each sample keeps, 0 or 1, (samples, segments), as lime draws them."""
    drawn = np.random.RandomState(seed).randint(0, 2, samples * segments).reshape((samples, segments))
    drawn[0, :] = 1
    return drawn.astype(np.int64)


def mean_colours(crop: Image, segments: NDArray[np.int32]) -> Image:
    """The crop with every segment in its mean colour: what a hidden segment is replaced by."""
    counts = np.bincount(segments.ravel())
    means = [np.bincount(segments.ravel(), weights=crop[..., c].ravel()) / counts for c in range(3)]
    # lime stores the means in an integer picture: truncated, not rounded.
    return np.stack(means, axis=-1)[segments].astype(np.uint8)


def _classify_masked(
    data: NDArray[np.int64],
    *,
    crop: Image,
    fudged: Image,
    segments: NDArray[np.int32],
    classify: Classify,
    heartbeat: Callable[[], None],
) -> NDArray[np.float64]:
    parts = []
    for start in range(0, len(data), BATCH):
        heartbeat()
        keep = data[start : start + BATCH].astype(bool)[:, segments]  # (B, S, S) by one lookup
        parts.append(classify(np.where(keep[..., None], crop, fudged)))
    return np.concatenate(parts).astype(np.float64)


def fit(data: NDArray[np.int64], probabilities: NDArray[np.float64]) -> _Fit:
    """The weighted ridge regression of the probabilities on the masks, as lime.lime_base fits it."""
    # The cosine distance of a mask to the first one, which keeps everything; 1 for one that keeps nothing.
    distances = 1 - np.sqrt(data.mean(axis=1))
    closeness = np.sqrt(np.exp(-(distances**2) / KERNEL_WIDTH**2))
    ridge = Ridge(alpha=1).fit(data, probabilities, sample_weight=closeness)
    return _Fit(
        weights=ridge.coef_,
        intercept=float(ridge.intercept_),
        r2=float(ridge.score(data, probabilities, sample_weight=closeness)),
        local_prediction=float(ridge.predict(data[:1])[0]),
    )
