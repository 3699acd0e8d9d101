"""The highest of many scores is inflated: this module converts it to the equivalent score of a single look.

A video's score is that of the worst stretch of its worst face. Among the faces of a crowd, or over an hour of
one face, some genuine stretch scores high by chance. If genuine scores are spread around `centre` by `spread`
(a normal distribution, fitted on genuine clips), one look reaches a logit x with probability p(x), and the
highest of n looks with 1 - (1 - p(x))^n (Sidak, 1967). The result is the logit that a single look would reach
with that same probability.

If not one stretch of n but a share f of them reaches x, the probability is at most p(x) / f, however similar
the stretches are (Markov): x is then taken as the highest of 1 / f looks. So a video that is fake throughout
scores as a part of it would, and one forged face among many, or half a minute of an hour, has to stand out.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtri, ndtri_exp

from core.model_version import Looks

Numbers = NDArray[np.float64]

FARTHEST = 37.0  # spreads from the centre, where a double's probability underflows


def alone(logits: Numbers, count: Numbers, looks: Looks) -> Numbers:
    """The logits that one look reaches as rarely as the highest of `count` reaches `logits`; (N,) each."""
    if looks.spread <= 0:
        return logits
    far = (logits - looks.centre) / looks.spread
    near = np.minimum(far, FARTHEST)
    below = np.maximum(count, 1.0) ** looks.caution * log_ndtr(near)  # log chance that all stay below
    reached = -np.expm1(below)
    # The smaller of the two probabilities is the exact one.
    upper = -ndtri(np.clip(reached, np.finfo(float).tiny, 0.5))
    lone = np.where(reached < 0.5, upper, ndtri_exp(np.minimum(below, -np.log(2)))) + (far - near)
    return np.where(count <= 1, logits, np.minimum(looks.centre + looks.spread * lone, logits))


class Looked:
    """All looks at one video."""

    def __init__(self, tracks: Sequence[Sequence[float]], looks: Looks, *, window: int) -> None:
        """`tracks`: of each face, the logits of its stretches of `window` frames, each a frame further on."""
        weights = [_weights(len(stretches), window, looks.repeat) for stretches in tracks]
        logits = np.array([logit for stretches in tracks for logit in stretches], np.float64)
        order = np.argsort(logits, kind="stable")[::-1]
        reaching = np.cumsum(np.concatenate(weights)[order]) if weights else np.zeros(0)
        self.count = float(reaching[-1]) if len(reaching) else 0.0  # of looks
        lone = alone(logits[order], self.count / np.maximum(reaching, 1.0), looks)
        self._logits = logits[order][::-1]  # ascending
        self._alone = np.maximum.accumulate(lone[::-1])

    def alone(self, logit: float) -> float:
        """What `logit` would be as a single look; monotonic."""
        place = int(np.searchsorted(self._logits, logit, side="right")) - 1
        return float(self._alone[place]) if place >= 0 else logit

    def least(self, enough: Callable[[float], bool]) -> float | None:
        """The lowest logit of a stretch that, as a single look, reaches `enough`; None if none does."""
        place = bisect_left(self._alone, True, key=lambda lone: enough(float(lone)))
        return float(self._logits[place]) if place < len(self._logits) else None


def _weights(stretches: int, window: int, repeat: float) -> Numbers:
    """The weight of each of a face's overlapping stretches; they add up to the looks they count as."""
    if stretches <= 1:
        return np.ones(stretches)
    apart = (stretches + window - 1) / window  # stretches that do not overlap
    return np.full(stretches, apart**repeat / stretches)
