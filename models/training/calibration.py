"""From raw scores to probabilities and thresholds, fitted on clips that no evaluation uses."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression

from models.model_version import Calibration
from models.training.metrics import Flags, Numbers

Method = Literal["platt", "temperature"]

SHARE_OF_FAKE = 0.2  # of the rate wanted for "flagged": the rate wanted for "fake"
STEP = 0.001  # thresholds are rounded up to this


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    suspect: float  # probability from which a video is flagged, [0, 1]
    fake: float  # probability from which it is called fake; at least `suspect`


def fit(
    raw: Numbers, fake: Flags, groups: NDArray[np.str_], *, method: Method, fitted_on: str
) -> Calibration:
    """The calibration that makes raw video scores probabilities, genuine and fake weighing alike.

    Each person or video weighs the same within its class, however many clips it gave.

    Args:
        raw: (N,) aggregated logits; fake: (N,) the truth; groups: (N,) persons and videos.
        method: `platt` fits slope and intercept (Platt, 1999), `temperature` the slope alone (Guo et al.,
            2017), for scores whose zero already lies between the classes.

    Raises ValueError where one class is missing.
    """
    if fake.all() or not fake.any():
        raise ValueError("a calibration needs genuine and fake clips")
    weights = _weights(fake, groups)
    if method == "temperature":
        slope, intercept = _temperature(raw, fake, weights), 0.0
    else:
        model = LogisticRegression().fit(raw[:, None], fake, sample_weight=weights)
        slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    return Calibration(slope=slope, intercept=intercept, method=method, fitted_on=fitted_on)


def thresholds(
    calibration: Calibration, raw: Numbers, groups: NDArray[np.str_], *, rate: float
) -> Thresholds:
    """Thresholds that genuine clips pass no more often than wanted, each group weighing the same.

    Args:
        raw: (N,) aggregated logits of genuine clips; groups: (N,) persons and videos.
        rate: wanted part of flagged genuine clips; a fifth of it is allowed to be called fake. Where there
            are fewer groups than 1 / rate, the threshold lies above every clip.
    """
    scores = np.array([calibration.probability(float(value)) for value in raw])
    weights = _weights(np.zeros(len(raw), bool), groups)
    suspect = _threshold(scores, weights, rate)
    return Thresholds(suspect=suspect, fake=max(suspect, _threshold(scores, weights, rate * SHARE_OF_FAKE)))


def _threshold(scores: Numbers, weights: Numbers, rate: float) -> float:
    """The least threshold that no more than `rate` of the weight reaches."""
    order = np.argsort(-scores, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    allowed = int(np.searchsorted(reached, rate + 1e-9, side="right"))  # clips that may be flagged
    if allowed >= len(scores):
        return 0.0
    above = math.floor(float(scores[order[allowed]]) / STEP) + 1
    return min(1.0, round(above * STEP, 6))


def _weights(fake: Flags, groups: NDArray[np.str_]) -> Numbers:
    weights = np.zeros(len(fake))
    for label in (False, True):
        chosen = fake == label
        _, index, counts = np.unique(groups[chosen], return_inverse=True, return_counts=True)
        if len(counts):
            weights[chosen] = 1 / counts[index] / len(counts)
    return np.asarray(weights / weights.sum() * len(fake), np.float64)


def _temperature(raw: Numbers, fake: Flags, weights: Numbers) -> float:
    signs = np.where(fake, 1.0, -1.0)

    def loss(log_slope: float) -> float:
        return float(np.sum(weights * np.logaddexp(0, -signs * raw * math.exp(log_slope))))

    best = minimize_scalar(loss, bounds=(math.log(0.02), math.log(50)), method="bounded")
    return float(np.exp(best.x))


def overlap(ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """Groups on both lists: an evaluation on what calibrated would flatter."""
    return sorted(set(ours) & set(theirs))
