"""From raw scores to probabilities and thresholds, fitted on clips that no evaluation uses."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression

from core.model_version import Calibration, Looks
from core.settings import ScoringSettings
from evaluation.metrics import Flags, Numbers, even_weights
from models.looks import alone
from models.stretches import stretch_logits

Method = Literal["platt", "temperature"]

CROWD = 25  # faces among which a fake must still be found
CAUTION_STEPS = 20
DRAWS = 200  # stretches of a face

FAKE_RATE = 0.01  # wanted for "fake", or that for "flagged" where it is lower
STEP = 0.001  # thresholds are rounded up to this


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A face of a genuine clip."""

    group: str  # the person or video
    video: bool  # of a video: a photograph under a moving camera varies too little over time
    logits: Sequence[float]  # of its usable frames, by time


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


def fit_looks(faces: Sequence[Seen], *, fitted_on: str) -> Looks:
    """How genuine stretches spread, and how much of that is within one face; the full correction.

    Each person or video weighs the same, however many faces and clips it gave.
    """
    scoring = ScoringSettings()
    groups = np.array([face.group for face in faces], np.str_)
    weights = _weights(np.zeros(len(faces), bool), groups)
    weights = weights / weights.sum()
    logits = np.array([max(_stretches(face.logits, scoring)) for face in faces])
    centre = float(weights @ logits)
    spread = float(np.sqrt(weights @ (logits - centre) ** 2))
    moving = np.array([face.video for face in faces])
    lasting = weights * moving if moving.any() else weights
    variances = np.array([_variance_within(face.logits, scoring) for face in faces])
    within = float(np.sqrt(lasting @ variances / lasting.sum()))
    # Faces that differ no more than the stretches of one would make every stretch a look.
    repeat = min(1.0, within / spread) if spread > 0 else 1.0
    return Looks(centre=centre, spread=spread, repeat=repeat, fitted_on=fitted_on)


def caution(looks: Looks, flagged: Numbers, least: float, *, kept: float) -> Looks:
    """The looks with as much of the correction as the fakes allow.

    Args:
        flagged: (N,) logits of fakes that are flagged alone.
        least: logit from which a single look is flagged.
        kept: part of them that must be flagged among CROWD faces, too, where the others are genuine.
    """
    counts = np.full(len(flagged), float(CROWD))
    for step in range(CAUTION_STEPS, -1, -1):
        careful = replace(looks, caution=step / CAUTION_STEPS)
        if np.mean(alone(flagged, counts, careful) >= least) >= kept:
            return careful
    return replace(looks, caution=0.0)


def _stretches(logits: Sequence[float], scoring: ScoringSettings) -> tuple[float, ...]:
    return stretch_logits(logits, frames=scoring.stretch_frames, top_fraction=scoring.top_fraction)


def _variance_within(logits: Sequence[float], scoring: ScoringSettings) -> float:
    """Of stretches drawn from the frames of one face: clips are too short to show many of them in a row."""
    drawn = np.random.default_rng(0).choice(logits, size=(DRAWS, scoring.stretch_frames))
    return float(np.var([_stretches(row, scoring)[0] for row in drawn]))


def thresholds(
    calibration: Calibration, raw: Numbers, groups: NDArray[np.str_], *, rate: float
) -> Thresholds:
    """Thresholds that genuine clips pass no more often than wanted, each group weighing the same.

    Args:
        raw: (N,) aggregated logits of genuine clips; groups: (N,) persons and videos.
        rate: wanted part of flagged genuine clips; up to FAKE_RATE may be called fake. Where there
            are fewer groups than 1 / rate, the threshold lies above every clip.
    """
    scores = np.array([calibration.probability(float(value)) for value in raw])
    weights = _weights(np.zeros(len(raw), bool), groups)
    suspect = _threshold(scores, weights, rate)
    return Thresholds(suspect=suspect, fake=max(suspect, _threshold(scores, weights, min(rate, FAKE_RATE))))


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
        if chosen.any():
            weights[chosen] = even_weights(groups[chosen])
    return np.asarray(weights / weights.sum() * len(fake), np.float64)


def _temperature(raw: Numbers, fake: Flags, weights: Numbers) -> float:
    signs = np.where(fake, 1.0, -1.0)

    def loss(log_slope: float) -> float:
        return float(np.sum(weights * np.logaddexp(0, -signs * raw * math.exp(log_slope))))

    best = minimize_scalar(loss, bounds=(math.log(0.02), math.log(50)), method="bounded")
    return float(np.exp(best.x))


def overlap(ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """Groups on both lists: an evaluation on calibration data would flatter."""
    return sorted(set(ours) & set(theirs))
