"""Logistic regressions on frozen features: each source is tested by one that knows none of its methods."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from bench.probe.features import Features
from core.errors import SettingsError
from models.training.gpu.pack import PackedFace

Numbers = NDArray[np.float64]
ROUNDS = 100  # of the solver


def folds(
    faces: Sequence[PackedFace], corpus: str, count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """The fold of each face, in which it is tested: (N,).

    In `corpus` sources that share a method stay together, and with them all of that method; they go, the
    largest first, where the fewest fakes are. In other corpora a fake's method decides, or where a corpus has
    but one, and for genuine faces, the group.
    """
    own = [face for face in faces if face.corpus == corpus]
    together = _together(own)
    sizes: dict[str, set[str]] = {name: set() for name in together.values()}
    for face in own:
        if face.fake:
            sizes[together[face.source]].add(face.group)
    load, fold_of = np.zeros(count), {}
    for name in sorted(sizes, key=lambda each: (-len(sizes[each]) - rng.random(), each)):
        fold_of[name] = int(np.argmin(load + rng.random(count)))
        load[fold_of[name]] += max(1, len(sizes[name]))
    methods: dict[str, set[str]] = defaultdict(set)
    for face in faces:
        if face.fake:
            methods[face.corpus].add(face.method)
    drawn: dict[tuple[str, str], int] = {}

    def other(face: PackedFace) -> int:
        several = face.fake and len(methods[face.corpus]) > 1
        key = (face.corpus, face.method) if several else ("", face.group)
        return drawn.setdefault(key, int(rng.integers(count)))

    return np.array(
        [fold_of[together[face.source]] if face.corpus == corpus else other(face) for face in faces]
    )


def _together(faces: Sequence[PackedFace]) -> dict[str, str]:
    """Of each source the name of its cluster: sources are joined by common methods."""
    cluster = {face.source: face.source for face in faces}
    by_method: dict[str, set[str]] = defaultdict(set)
    for face in faces:
        if face.fake:
            by_method[face.method].add(face.source)
    for sources in by_method.values():
        joined = {cluster[source] for source in sources}
        name = min(joined)
        cluster = {source: name if old in joined else old for source, old in cluster.items()}
    return cluster


def logits(
    features: Features,
    faces: Sequence[PackedFace],
    fold: NDArray[np.int64],
    *,
    strength: float,
) -> Numbers:
    """(N,): each face's logit, by a regression on the other folds. `strength`: the inverse of its penalty.

    Raises SettingsError if the other folds have no fakes, or nothing genuine.
    """
    fake = np.array([face.fake for face in faces])
    found = np.zeros(len(faces))
    for number in np.unique(fold):
        known = fold != number
        if len(set(fake[known])) < 2:
            reason = "with these sources left out, one class is left; give more sources or other corpora"
            raise SettingsError(setting="packs", reason=reason)
        mean, spread = features[known].mean(axis=0), features[known].std(axis=0) + 1e-4
        scaled = (features - mean) / spread
        weights = _even([face for face, kept in zip(faces, known, strict=True) if kept])
        model = LogisticRegression(C=strength, max_iter=ROUNDS)
        model.fit(scaled[known], fake[known], sample_weight=weights)
        found[~known] = model.decision_function(scaled[~known])
    return found


def _even(faces: Sequence[PackedFace]) -> Numbers:
    """Classes weigh the same, and in each the corpora; methods and sources by the root of their groups."""
    groups: dict[tuple[bool, str, str], set[str]] = defaultdict(set)
    counts: dict[tuple[bool, str, str], int] = defaultdict(int)
    keys = [(face.fake, face.corpus, face.method if face.fake else face.source) for face in faces]
    for key, face in zip(keys, faces, strict=True):
        groups[key].add(face.group)
        counts[key] += 1
    weights = np.array([len(groups[key]) ** 0.5 / counts[key] for key in keys])
    for part in ([key[:2] for key in keys], [key[:1] for key in keys]):  # corpora, then classes
        totals: dict[tuple[object, ...], float] = defaultdict(float)
        for name, weight in zip(part, weights, strict=True):
            totals[name] += weight
        weights = np.array([weight / totals[name] for name, weight in zip(part, weights, strict=True)])
    return np.asarray(weights * (len(faces) / weights.sum()), np.float64)


def ranked(found: Numbers, faces: Sequence[PackedFace], corpus: str) -> dict[str, float]:
    """AUC of the corpus' media, the mean of a group's faces of one method: families beside all genuine.

    Raises SettingsError if the corpus has no fakes, or nothing genuine.
    """
    media: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, face in enumerate(faces):
        if face.corpus == corpus:
            media[face.group, face.method].append(place)
    values = np.array([found[places].mean() for places in media.values()])
    first = [faces[places[0]] for places in media.values()]
    fake = np.array([face.fake for face in first])
    if len(set(fake)) < 2:
        raise SettingsError(setting="--corpus", reason=f"{corpus!r} has not both fakes and genuine faces")
    families = np.array([face.family for face in first])
    sets: Mapping[str, NDArray[np.bool_]] = {"all": fake} | {
        name: fake & (families == name) for name in sorted({face.family for face in first if face.fake})
    }
    return {
        name: float(roc_auc_score(fake[chosen | ~fake], values[chosen | ~fake]))
        for name, chosen in sets.items()
    }
