"""How good scores are: the field's metrics, each with a bootstrap confidence interval over groups.

The values are scikit-learn's wherever it has the metric. The intervals come from resampling whole groups
(Efron, 1979): frames of one video, and clips of one person, are no independent evidence. A thousand
resamples of a dozen metrics would take scikit-learn minutes a table, so they are computed as weighted sums,
all at once; a test holds the two ways together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]

AT_THRESHOLD = ("accuracy", "precision", "recall", "f1", "mcc", "false_positive_rate")
OF_RANKING = ("auc", "average_precision", "eer", "recall_at_1_fpr", "recall_at_5_fpr")
OF_PROBABILITY = ("log_loss", "brier", "ece")
METRICS = (*OF_RANKING, *AT_THRESHOLD, *OF_PROBABILITY)
LOWER_IS_BETTER = frozenset({"eer", "false_positive_rate", *OF_PROBABILITY})

BINS = 10  # of the expected calibration error, of equal width
CONFIDENCE = 0.95
RESAMPLES = 1000
LARGEST_BLOCK = 4_000_000  # weights computed with at once: 32 MB


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A metric's value and its confidence interval; None where it is undefined."""

    value: float | None
    low: float | None = None  # of the 95% interval
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What is measured: one entry per frame or video."""

    fake: Flags  # (N,) the truth
    probability: Numbers  # (N,) calibrated, of a fake, [0, 1]
    group: NDArray[Any]  # (N,) the person or video each belongs to; any values that compare

    def __len__(self) -> int:
        return len(self.fake)

    def only(self, chosen: NDArray[Any]) -> "Scored":
        """The entries that `chosen` marks (bool, (N,)) or counts up (indices)."""
        return Scored(fake=self.fake[chosen], probability=self.probability[chosen], group=self.group[chosen])


def measure(scored: Scored, *, threshold: float) -> dict[str, float]:
    """Every metric's value; NaN where it is undefined (one class only, nothing flagged).

    Args:
        threshold: probability from which an entry counts as flagged.
    """
    fake, probability = scored.fake, scored.probability
    values = dict.fromkeys(METRICS, float("nan"))
    if not len(scored):
        return values
    flagged = probability >= threshold
    values |= {
        "accuracy": float(metrics.accuracy_score(fake, flagged)),
        "precision": float(metrics.precision_score(fake, flagged, zero_division=np.nan)),
        "recall": float(metrics.recall_score(fake, flagged, zero_division=np.nan)),
        "f1": float(metrics.f1_score(fake, flagged, zero_division=np.nan)),
        "log_loss": float(metrics.log_loss(fake, probability, labels=[False, True])),
        "brier": float(np.mean((probability - fake) ** 2)),  # sklearn's refuses a sample of one class
        "ece": expected_calibration_error(scored),
    }
    if not fake.all():
        values["false_positive_rate"] = float(flagged[~fake].mean())
    if fake.any() and not fake.all():
        fpr, tpr, _ = metrics.roc_curve(fake, probability, drop_intermediate=False)
        values |= {
            "auc": float(metrics.roc_auc_score(fake, probability)),
            "average_precision": float(metrics.average_precision_score(fake, probability)),
            "mcc": float(metrics.matthews_corrcoef(fake, flagged)),
            "eer": float(_equal_error_rate(fpr[None], tpr[None])[0]),
            "recall_at_1_fpr": float(_recall_at(fpr[None], tpr[None], 0.01)[0]),
            "recall_at_5_fpr": float(_recall_at(fpr[None], tpr[None], 0.05)[0]),
        }
    return values


def measure_with_intervals(
    scored: Scored, *, threshold: float, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Interval]:
    """Every metric with the 95% percentile interval over `resamples` resamplings of the groups.

    With fewer than two groups there is no interval, only a value.
    """
    values = measure(scored, threshold=threshold)
    bounds = _bounds(scored, threshold=threshold, resamples=resamples, seed=seed)
    return {
        name: Interval(
            value=None if np.isnan(value) else value,
            low=bounds[name][0] if name in bounds and not np.isnan(value) else None,
            high=bounds[name][1] if name in bounds and not np.isnan(value) else None,
        )
        for name, value in values.items()
    }


def _bounds(scored: Scored, *, threshold: float, resamples: int, seed: int) -> dict[str, tuple[float, float]]:
    _, groups = np.unique(scored.group, return_inverse=True)
    count = int(groups.max(initial=-1)) + 1
    if count < 2 or resamples < 1:
        return {}
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
    rows = max(1, LARGEST_BLOCK // len(scored))
    parts = [
        weighted(scored, drawn[start : start + rows][:, groups].astype(np.float64), threshold=threshold)
        for start in range(0, resamples, rows)
    ]
    outside = (1 - CONFIDENCE) / 2 * 100
    bounds = {}
    for name in METRICS:
        values = np.concatenate([part[name] for part in parts])
        values = values[~np.isnan(values)]
        if len(values):
            low, high = np.percentile(values, [outside, 100 - outside])
            bounds[name] = (float(low), float(high))
    return bounds


def weighted(scored: Scored, weights: Numbers, *, threshold: float) -> dict[str, Numbers]:
    """Every metric under each row of `weights`.

    Args:
        weights: float64 (B, N), not negative: how often a resample holds each entry.

    Returns float64 (B,) per metric; NaN where it is undefined.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return (
            _at_threshold(scored, weights, threshold)
            | _of_ranking(scored, weights)
            | _of_probability(scored, weights)
        )


def _at_threshold(scored: Scored, weights: Numbers, threshold: float) -> dict[str, Numbers]:
    flagged = scored.probability >= threshold
    tp, fp, fn, tn = (
        weights @ mask.astype(np.float64)
        for mask in (
            flagged & scored.fake,
            flagged & ~scored.fake,
            ~flagged & scored.fake,
            ~flagged & ~scored.fake,
        )
    )
    spread = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    one_class = (tp + fn == 0) | (tn + fp == 0)
    mcc = np.where(spread > 0, (tp * tn - fp * fn) / spread, 0.0)
    return {
        "accuracy": (tp + tn) / (tp + fp + fn + tn),
        "precision": tp / (tp + fp),
        "recall": tp / (tp + fn),
        "f1": 2 * tp / (2 * tp + fp + fn),
        "mcc": np.where(one_class, np.nan, mcc),
        "false_positive_rate": fp / (fp + tn),
    }


def _of_ranking(scored: Scored, weights: Numbers) -> dict[str, Numbers]:
    order = np.argsort(-scored.probability, kind="stable")
    ranked = scored.probability[order]
    # Equal scores are one step of the curve: only the last entry of each run is a point of it.
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    ordered, fake = weights[:, order], scored.fake[order]
    tp = _from_zero(np.cumsum(ordered * fake, axis=1)[:, ends])
    fp = _from_zero(np.cumsum(ordered * ~fake, axis=1)[:, ends])
    tpr, fpr = tp / tp[:, -1:], fp / fp[:, -1:]
    precision = np.where(tp + fp > 0, tp / (tp + fp), 0.0)
    undefined = np.isnan(tpr[:, -1]) | np.isnan(fpr[:, -1])
    values = {
        "auc": np.sum(np.diff(fpr) * (tpr[:, 1:] + tpr[:, :-1]) / 2, axis=1),
        "average_precision": np.sum(np.diff(tpr) * precision[:, 1:], axis=1),
        "eer": _equal_error_rate(fpr, tpr),
        "recall_at_1_fpr": _recall_at(fpr, tpr, 0.01),
        "recall_at_5_fpr": _recall_at(fpr, tpr, 0.05),
    }
    return {name: np.where(undefined, np.nan, each) for name, each in values.items()}


def _of_probability(scored: Scored, weights: Numbers) -> dict[str, Numbers]:
    total = weights.sum(axis=1)
    probability, fake = scored.probability, scored.fake.astype(np.float64)
    tiny = np.finfo(np.float64).eps
    clipped = np.clip(probability, tiny, 1 - tiny)
    loss = -(fake * np.log(clipped) + (1 - fake) * np.log1p(-clipped))
    bins = _bin_of(probability)[:, None] == np.arange(BINS)
    gaps = np.abs(weights @ (bins * probability[:, None]) - weights @ (bins * fake[:, None]))
    return {
        "log_loss": weights @ loss / total,
        "brier": weights @ (probability - fake) ** 2 / total,
        "ece": gaps.sum(axis=1) / total,
    }


def expected_calibration_error(scored: Scored) -> float:
    """The mean gap between the probability stated and the part that is fake, over ten bins
    (Naeini et al., 2015; of the probability of "fake", not of the predicted class).
    """
    return float(_of_probability(scored, np.ones((1, len(scored))))["ece"][0])


def even_weights(groups: Sequence[str] | NDArray[Any]) -> Numbers:
    """A weight for each entry: the same sum for each group, all together 1."""
    _, index, counts = np.unique(groups, return_inverse=True, return_counts=True)
    return np.asarray(1 / counts[index] / len(counts), np.float64)


def reliability(scored: Scored) -> tuple[Numbers, Numbers, NDArray[np.int64]]:
    """Of each bin the mean probability, the part that is fake, and the entries; NaN where it is empty."""
    bins = _bin_of(scored.probability)
    counts = np.bincount(bins, minlength=BINS)
    with np.errstate(invalid="ignore"):
        stated = np.bincount(bins, weights=scored.probability, minlength=BINS) / counts
        found = np.bincount(bins, weights=scored.fake.astype(np.float64), minlength=BINS) / counts
    return stated, found, counts.astype(np.int64)


def _bin_of(probability: Numbers) -> NDArray[np.int64]:
    return np.minimum((probability * BINS).astype(np.int64), BINS - 1)


def _from_zero(counts: Numbers) -> Numbers:
    return np.concatenate([np.zeros((len(counts), 1)), counts], axis=1)


def _equal_error_rate(fpr: Numbers, tpr: Numbers) -> Numbers:
    """Where false positives and misses are equally frequent, on straight lines between the points."""
    gap = fpr + tpr - 1  # rises from -1 to 1
    after = np.maximum(1, np.argmax(gap >= 0, axis=1))
    row = np.arange(len(gap))
    step = gap[row, after] - gap[row, after - 1]
    part = np.where(step > 0, -gap[row, after - 1] / np.where(step > 0, step, 1), 0.0)
    return np.asarray(fpr[row, after - 1] + part * (fpr[row, after] - fpr[row, after - 1]), np.float64)


def _recall_at(fpr: Numbers, tpr: Numbers, rate: float) -> Numbers:
    """The best recall at no more than `rate` false positives: no line is drawn between points."""
    allowed = fpr <= rate + 1e-12
    return np.asarray(np.max(np.where(allowed, tpr, 0.0), axis=1), np.float64)
