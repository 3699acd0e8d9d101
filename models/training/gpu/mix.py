"""Which faces stand beside each other in a batch: every fake beside a genuine one of the same source.

Families and methods are drawn by the square root of how many groups they have, groups evenly: the method
with the most files would decide otherwise, or the one film of a rare method be learned by heart.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.training.gpu.pack import PackedFace

# Parts of a batch, of pairs; "pseudo" are pseudo-fakes, the others are corpora of the packs.
SHARES: Mapping[str, float] = {
    "pseudo": 0.45, "dfdc": 0.2, "tools": 0.22, "generated": 0.08, "photoshop": 0.05,
}  # fmt: skip
# Of which corpora the genuine faces are that pseudo-fakes are made of.
PSEUDO_SHARES: Mapping[str, float] = {
    "photo": 0.35, "gray_photo": 0.07, "video": 0.13, "dfdc": 0.15, "tools": 0.15, "generated": 0.08, "photoshop": 0.07,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Places in the stock."""

    genuine: NDArray[np.int64]  # (pairs,)
    fake: NDArray[np.int64]  # (pairs,); of a pseudo-fake another person, for the forger
    pseudo: NDArray[np.bool_]  # (pairs,)


@dataclass
class _Corpus:
    genuine: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))  # by source
    by_group: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))  # genuine
    # family -> method -> group -> places
    fake: dict[str, dict[str, dict[str, list[int]]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    )


class Mix:
    """Draws pairs of one side of the faces."""

    def __init__(
        self,
        faces: Sequence[PackedFace],
        known: NDArray[np.bool_],
        *,
        shares: Mapping[str, float] = SHARES,
        without: frozenset[str] = frozenset(),
    ) -> None:
        """
        Args:
            known: whose landmarks are known: (N,).
            shares: as SHARES.
            without: methods left out, with every group that they show.
        """
        self._faces = faces
        left_out = {face.group for face in faces if face.method in without}
        corpora: dict[str, _Corpus] = defaultdict(_Corpus)
        self._genuine: dict[str, list[int]] = defaultdict(list)
        for place, face in enumerate(faces):
            if face.side != "train" or face.group in left_out or face.method in without:
                continue
            corpus = corpora[face.corpus]
            if face.fake:
                corpus.fake[face.family][face.method][face.group].append(place)
            else:
                corpus.genuine[face.source].append(place)
                corpus.by_group[face.group].append(place)
                self._genuine[face.corpus].append(place)
        self._known = np.flatnonzero(known)
        trained = set(np.concatenate([np.array(places) for places in self._genuine.values()]).tolist())
        self._others = np.array([place for place in self._known if int(place) in trained])
        self._corpora = {name: corpus for name, corpus in corpora.items() if corpus.fake and corpus.genuine}
        usable = [name for name in shares if name == "pseudo" or name in self._corpora]
        self._parts, self._weights = usable, _normed([shares[name] for name in usable])
        self._pseudo = [name for name in PSEUDO_SHARES if self._genuine.get(name)]
        self._pseudo_weights = _normed([PSEUDO_SHARES[name] for name in self._pseudo])

    def draw(self, rng: np.random.Generator, pairs: int) -> Draw:
        """That many pairs."""
        parts = rng.choice(len(self._parts), size=pairs, p=self._weights)
        names = [self._parts[int(part)] for part in parts]
        drawn = [self._pseudo_pair(rng) if name == "pseudo" else self._pair(rng, name) for name in names]
        return Draw(
            genuine=np.array([pair[0] for pair in drawn]),
            fake=np.array([pair[1] for pair in drawn]),
            pseudo=np.array([name == "pseudo" for name in names]),
        )

    def _pseudo_pair(self, rng: np.random.Generator) -> tuple[int, int]:
        name = self._pseudo[int(rng.choice(len(self._pseudo), p=self._pseudo_weights))]
        return _one(rng, self._genuine[name]), int(self._others[int(rng.integers(len(self._others)))])

    def _pair(self, rng: np.random.Generator, name: str) -> tuple[int, int]:
        corpus = self._corpora[name]
        family = corpus.fake[_broad(rng, {each: _groups(of) for each, of in corpus.fake.items()})]
        method = family[_broad(rng, {each: len(of) for each, of in family.items()})]
        group = _one(rng, list(method))
        fake = _one(rng, method[group])
        return self._partner(rng, corpus, group, self._faces[fake].source), fake

    def _partner(self, rng: np.random.Generator, corpus: _Corpus, group: str, source: str) -> int:
        if corpus.by_group.get(group):
            return _one(rng, corpus.by_group[group])
        if corpus.genuine.get(source) and rng.random() < 0.7:
            return _one(rng, corpus.genuine[source])
        return _one(rng, corpus.genuine[_one(rng, list(corpus.genuine))])


def _one(rng: np.random.Generator, things: Sequence[Any]) -> Any:
    return things[int(rng.integers(len(things)))]


def _broad(rng: np.random.Generator, sizes: Mapping[str, int]) -> str:
    weights = _normed([size**0.5 for size in sizes.values()])
    return list(sizes)[int(rng.choice(len(sizes), p=weights))]


def _groups(methods: Mapping[str, Mapping[str, Any]]) -> int:
    return sum(len(groups) for groups in methods.values())


def _normed(weights: Sequence[float]) -> NDArray[np.float64]:
    values = np.asarray(weights, np.float64)
    return values / values.sum()
