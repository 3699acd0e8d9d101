"""What a small head over bursts adds, on methods and people that it was not fitted on.

Every pair of a fake and a genuine clip is judged by a head of its own, fitted without the fake's method and
without any clip of the people in either. An AUC is the part of the pairs in which the fake scores higher, so
that scores of different heads are never compared. The intervals resample methods of fakes and people of
genuine clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from bench.bursts.clips import Clip
from bench.bursts.features import FEATURES
from evaluation.metrics import even_weights

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]
Labels = NDArray[np.str_]

REGULARISATION = 0.1  # scikit-learn's C, chosen before any result was seen
OTHERS = (0.01, 1.0)  # reported beside it
CONFIDENCE = 95.0  # percent

SCORE = "video score"
MORE = "video score and that of as many frames more"
BURSTS = "head on video score and bursts"
SPREAD = "head on video score and spread frames"
BURSTS_ALONE = "head on the changes within bursts alone"
SPREAD_ALONE = "head on the changes between spread frames alone"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One clip with its numbers."""

    clip: Clip
    score: float  # logit of the worker's own screening
    bursts: Numbers  # (FEATURES,)
    spread: Numbers  # (FEATURES,) of as many frames spread evenly


@dataclass(frozen=True, kw_only=True)
class Interval:
    value: float
    low: float  # of the 95% interval
    high: float


def compare(known: Sequence[Measured], *, resamples: int) -> dict[str, Any]:
    """By set of clips: AUC of each way to score, what bursts add, and the AUC of each feature alone."""
    pairs = Pairs([each.clip for each in known])
    tables = _heads(known)
    won = {name: pairs.wins_of_heads(table, REGULARISATION) for name, table in tables.items()}
    won[SCORE] = pairs.wins(np.array([each.score for each in known]))
    won[MORE] = pairs.wins(np.array([(each.score + each.spread[0]) / 2 for each in known]))
    single = {
        kind: [pairs.wins(column) for column in np.stack([getattr(each, kind) for each in known]).T]
        for kind in ("bursts", "spread")
    }
    other = {
        strength: {name: pairs.wins_of_heads(tables[name], strength) for name in (BURSTS, SPREAD)}
        for strength in OTHERS
    }
    return {
        name: {
            "fake": int(chosen.any(axis=1).sum()),
            "genuine": int(chosen.any(axis=0).sum()),
            "AUC": {way: _rounded(mean(wins, chosen)) for way, wins in won.items()},
            "gain": _gains(won, pairs, chosen, resamples),
            "gain, by C": {
                strength: _gains({SCORE: won[SCORE]} | ways, pairs, chosen, resamples)
                for strength, ways in other.items()
            },
            "AUC by method": {
                method: {way: _rounded(mean(won[way][rows], chosen[rows])) for way in (SCORE, BURSTS, SPREAD)}
                for method, rows in pairs.by_method()
                if chosen[rows].any()
            },
            "AUC of each feature": {
                kind: {
                    feature: _rounded(mean(wins, chosen))
                    for feature, wins in zip(FEATURES, each, strict=True)
                }
                for kind, each in single.items()
            },
        }
        for name, chosen in pairs.sets().items()
        if chosen.any()
    }


def _heads(known: Sequence[Measured]) -> dict[str, Numbers]:
    """What each head sees of every clip: (N, K)."""
    score = np.array([[each.score] for each in known])
    bursts = np.stack([each.bursts for each in known])
    spread = np.stack([each.spread for each in known])
    return {
        BURSTS: np.hstack([score, bursts]),
        SPREAD: np.hstack([score, spread]),
        BURSTS_ALONE: bursts[:, 1:],
        SPREAD_ALONE: spread[:, 1:],
    }


def _gains(
    won: dict[str, Numbers], pairs: "Pairs", chosen: Flags, resamples: int
) -> dict[str, dict[str, float]]:
    found = {}
    for name, other in (
        ("bursts over the score", SCORE),
        ("bursts over spread frames", SPREAD),
    ):
        gain = interval(won[BURSTS] - won[other], pairs.methods, pairs.people, chosen, resamples=resamples)
        found[name] = {key: _rounded(value) for key, value in vars(gain).items()}
    return found


class Pairs:
    """Every fake (rows) beside every genuine clip (columns)."""

    def __init__(self, clips: Sequence[Clip]) -> None:
        self._clips = clips
        self._fake = np.array([clip.fake for clip in clips])
        self._method = np.array([clip.method for clip in clips])
        self._people = np.array([clip.people for clip in clips])
        self.methods: Labels = self._method[self._fake]
        self.people: Labels = self._people[~self._fake]

    def sets(self) -> dict[str, Flags]:
        """The pairs of each set of clips, by its name."""
        fakes = [clip for clip in self._clips if clip.fake]
        genuine = [clip for clip in self._clips if not clip.fake]
        untouched = np.array([[not (f.trained_on or g.trained_on) for g in genuine] for f in fakes])
        unseen = untouched & np.array([[not clip.method_seen] for clip in fakes])
        alike = np.array([[f.source == g.source for g in genuine] for f in fakes])
        return {
            "all clips": np.ones_like(untouched),
            "clips never trained on": untouched,
            "methods never trained on": unseen,
            "methods never trained on, beside genuine clips of the same source": unseen & alike,
        }

    def by_method(self) -> list[tuple[str, Flags]]:
        return [(str(method), self.methods == method) for method in np.unique(self.methods)]

    def wins(self, scores: Numbers) -> Numbers:
        """1 where the fake scores higher, 1/2 where they are equal."""
        return _higher(scores[self._fake], scores[~self._fake])

    def wins_of_heads(self, table: Numbers, strength: float) -> Numbers:
        """The same by heads over the columns of `table` (N, K); NaN where there is nothing to fit one on."""
        won = np.full((self._fake.sum(), (~self._fake).sum()), np.nan)
        for method, rows in self.by_method():
            theirs = set(self._people[self._method == method])
            for people in np.unique(self.people):
                fit = (self._method != method) & ~np.isin(self._people, list(theirs | {people}))
                if len(set(self._fake[fit])) < 2:
                    continue
                scores = self._scores(table, fit, strength)
                columns = self.people == people
                won[np.ix_(rows, columns)] = _higher(scores[self._fake][rows], scores[~self._fake][columns])
        return won

    def _scores(self, table: Numbers, fit: Flags, strength: float) -> Numbers:
        """Of all clips, by a logistic regression fitted on the clips `fit`."""
        centre, spread = table[fit].mean(axis=0), table[fit].std(axis=0)
        scaled = (table - centre) / np.where(spread > 0, spread, 1)
        head = LogisticRegression(C=strength)
        weights = fair_weights(self._fake[fit], np.where(self._fake, self._method, self._people)[fit])
        head.fit(scaled[fit], self._fake[fit], sample_weight=weights)
        return np.asarray(head.decision_function(scaled), np.float64)


def fair_weights(fake: Flags, cluster: Labels) -> Numbers:
    """A weight for each clip: both classes weigh the same, and within a class all clusters; 1 on average."""
    weights = np.empty(len(fake))
    for label in (False, True):
        own = fake == label
        weights[own] = len(fake) / 2 * even_weights(cluster[own])
    return weights


def mean(values: Numbers, chosen: Flags) -> float:
    """Of the chosen pairs that have a value; NaN if none has."""
    kept = values[chosen & ~np.isnan(values)]
    return float(kept.mean()) if kept.size else float("nan")


def interval(
    values: Numbers, rows: Labels, columns: Labels, chosen: Flags, *, resamples: int, seed: int = 0
) -> Interval:
    """The mean of the chosen pairs, and what it may be by chance of the clusters of rows and columns."""
    usable = chosen & ~np.isnan(values)
    filled, counted = np.where(usable, values, 0.0), usable.astype(np.float64)
    rng = np.random.default_rng(seed)
    weights = [
        _drawn(labels[usable.any(axis=axis)], labels, resamples, rng)
        for axis, labels in ((1, rows), (0, columns))
    ]
    totals = np.einsum("br,rc,bc->b", weights[0], counted, weights[1], optimize=True)
    sums = np.einsum("br,rc,bc->b", weights[0], filled, weights[1], optimize=True)
    means = sums[totals > 0] / totals[totals > 0]
    outside = (100 - CONFIDENCE) / 2
    low, high = np.percentile(means, [outside, 100 - outside]) if len(means) else (np.nan, np.nan)
    return Interval(value=mean(values, chosen), low=float(low), high=float(high))


def _drawn(present: Labels, labels: Labels, resamples: int, rng: np.random.Generator) -> Numbers:
    """(resamples, N): how often each entry is drawn, its cluster among those `present` with replacement."""
    names = np.unique(present)
    if not len(names):
        return np.zeros((resamples, len(labels)))
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    member = labels[None] == names[:, None]
    return np.asarray(counts @ member, np.float64)


def _higher(fakes: Numbers, genuine: Numbers) -> Numbers:
    return np.asarray(np.sign(fakes[:, None] - genuine[None]) / 2 + 0.5, np.float64)


def _rounded(value: float) -> float:
    return round(value, 4)
