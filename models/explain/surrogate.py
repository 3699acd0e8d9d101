"""LIME's local model: a weighted ridge regression of a classifier's answers on what it was shown."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

KERNEL_WIDTH = 0.25  # of lime_image
ALPHA = 1.0  # of lime_base's ridge
OTHER_SEEDS = 200  # fits drawn to see how far they agree: enough for two digits


@dataclass(frozen=True, kw_only=True)
class Surrogate:
    weights: NDArray[np.float64]  # per segment
    covariance: NDArray[np.float64]  # of the weights, from one draw of samples to the next
    intercept: float
    r2: float
    local_prediction: float

    def top(self, count: int) -> list[int]:
        """The strongest segments first; fewer than `count` if the others do not matter at all."""
        return _strongest(self.weights, count)

    def agreement(self, count: int) -> float | None:
        """How far a fit to other samples is expected to agree on the `count` strongest segments, in [0, 1].

        The mean Jaccard index with fits drawn from what this one says of its own uncertainty, as BayesLIME
        (Slack et al., NeurIPS 2021) draws explanations from a posterior. None where no segment matters.
        """
        own = set(self.top(count))
        if not own:
            return None
        # Both this fit and another stray from what infinitely many samples would give.
        variances, axes = np.linalg.eigh(2 * self.covariance)
        spread = axes * np.sqrt(np.maximum(variances, 0.0))
        strays = np.random.default_rng(0).standard_normal((OTHER_SEEDS, len(self.weights)))
        others = self.weights + strays @ spread.T
        return float(np.mean([jaccard(own, set(_strongest(other, count))) for other in others]))


def fit(
    data: NDArray[np.int64], answers: NDArray[np.float64], *, alpha: float = ALPHA, unasked: float = 1.0
) -> Surrogate:
    """The regression of the answers on the masks, as lime.lime_base fits it, and its uncertainty.

    Args:
        data: (samples, segments), 1 where the segment is shown; the first row shows all.
        answers: (samples,) of the classifier.
        alpha: of the ridge.
        unasked: part of all possible masks that is not among the samples; at 0 no other draw is possible.
    """
    # The cosine distance of a mask to the first one; 1 for one that shows nothing.
    distances = 1 - np.sqrt(data.mean(axis=1))
    closeness = np.sqrt(np.exp(-(distances**2) / KERNEL_WIDTH**2))
    ridge = Ridge(alpha=alpha).fit(data, answers, sample_weight=closeness)
    residuals = answers - ridge.predict(data)
    return Surrogate(
        weights=ridge.coef_,
        covariance=unasked * _covariance(data, residuals, closeness, alpha),
        intercept=float(ridge.intercept_),
        r2=float(ridge.score(data, answers, sample_weight=closeness)),
        local_prediction=float(ridge.predict(data[:1])[0]),
    )


def _covariance(
    data: NDArray[np.int64], residuals: NDArray[np.float64], closeness: NDArray[np.float64], alpha: float
) -> NDArray[np.float64]:
    """Of the weights, robust to residuals that are no plain noise (White, 1980).

    They are not: the classifier answers the same mask the same, and what is left over is where it is not
    linear.
    """
    centred = data - np.average(data, axis=0, weights=closeness)
    bread = np.linalg.inv(centred.T @ (closeness[:, None] * centred) + alpha * np.eye(data.shape[1]))
    pulls = (closeness * residuals)[:, None] * centred
    free = max(1, len(data) - data.shape[1] - 1)
    return np.asarray(bread @ (pulls.T @ pulls) @ bread * len(data) / free)


def mean_agreement(tops: list[set[int]]) -> float | None:
    """The mean Jaccard index of every two; None where there are not two, or all are empty."""
    overlaps = [jaccard(a, b) for a, b in combinations(tops, 2) if a | b]
    return float(np.mean(overlaps)) if overlaps else None


def jaccard(a: set[int], b: set[int]) -> float:
    """Of two sets, not both empty: the part of what is in either that is in both."""
    return len(a & b) / len(a | b)


def _strongest(weights: NDArray[np.float64], count: int) -> list[int]:
    ranked = np.argsort(-np.abs(weights), kind="stable")[:count]
    return [int(number) for number in ranked if weights[number] != 0]
