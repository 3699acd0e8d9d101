"""Which faces are paired in a batch: every fake with a genuine one of the same source.

Families and methods are drawn by the square root of their number of groups, groups evenly: otherwise the
method with the most files would dominate, or the one film of a rare method be memorised.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from core.errors import SettingsError
from models.training.gpu.pack import PackedFace

PSEUDO = "pseudo"
# Parts of a batch, of pairs: pseudo-fakes, and corpora of the packs.
SHARES: Mapping[str, float] = {
    PSEUDO: 0.45, "dfdc": 0.2, "tools": 0.22, "generated": 0.08, "photoshop": 0.05,
}  # fmt: skip
# The corpora whose genuine faces pseudo-fakes are made from.
PSEUDO_SHARES: Mapping[str, float] = {
    "photo": 0.35, "gray_photo": 0.07, "video": 0.13,
    "dfdc": 0.15, "tools": 0.15, "generated": 0.08, "photoshop": 0.07,
}  # fmt: skip
OTHER_SHARE = 0.2  # of a corpus in neither table
SAME_SOURCE = 0.7  # how often a fake without a genuine face of its group is paired with one of its source

Thing = TypeVar("Thing")
Groups = list[tuple[str, list[int]]]  # the name of each, and places in the stock


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Places in the stock."""

    genuine: NDArray[np.int64]  # (pairs,)
    fake: NDArray[np.int64]  # (pairs,); of a pseudo-fake another person, for the forger
    pseudo: NDArray[np.bool_]  # (pairs,)


class _Choice:
    """Names, drawn by weight."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._names = list(weights)
        values = np.asarray(list(weights.values()), np.float64)
        self._weights = values / values.sum()

    def draw(self, rng: np.random.Generator) -> str:
        return self._names[int(rng.choice(len(self._names), p=self._weights))]

    def many(self, rng: np.random.Generator, count: int) -> list[str]:
        return [self._names[int(each)] for each in rng.choice(len(self._names), size=count, p=self._weights)]


class _Corpus:
    """The faces of one corpus, as they are drawn from."""

    def __init__(self, faces: Sequence[PackedFace], places: Iterable[int]) -> None:
        self.genuine: list[int] = []
        by_source: dict[str, list[int]] = defaultdict(list)
        self.by_group: dict[str, list[int]] = defaultdict(list)  # genuine
        methods: dict[str, dict[str, dict[str, list[int]]]] = defaultdict(lambda: defaultdict(dict))
        for place in places:
            face = faces[place]
            if face.fake:
                methods[face.family][face.method].setdefault(face.group, []).append(place)
            else:
                self.genuine.append(place)
                by_source[face.source].append(place)
                self.by_group[face.group].append(place)
        self.by_source, self.sources = dict(by_source), list(by_source.values())
        self.paired = bool(methods and self.genuine)
        if self.paired:
            self.families = _Choice({name: _broad(map(len, of.values())) for name, of in methods.items()})
        self.methods = {
            name: _Choice({method: _broad([len(groups)]) for method, groups in of.items()})
            for name, of in methods.items()
        }
        self.groups: dict[tuple[str, str], Groups] = {
            (family, method): list(groups.items())
            for family, of in methods.items()
            for method, groups in of.items()
        }


class Mix:
    """Draws pairs of the training side of the faces."""

    def __init__(
        self,
        faces: Sequence[PackedFace],
        known: NDArray[np.bool_],
        *,
        shares: Mapping[str, float] | None = None,
        without: frozenset[str] = frozenset(),
    ) -> None:
        """
        Args:
            known: whose landmarks are known: (N,).
            shares: of PSEUDO and of corpora, and nothing else is drawn; None: SHARES, and OTHER_SHARE of
                every corpus that they do not name.
            without: methods left out, with every group that they show.

        Raises SettingsError if a share or a method names nothing, or nothing can be drawn.
        """
        self._faces = faces
        methods = {face.method for face in faces if face.fake}
        _known("--without", without, methods)
        left_out = unseen_groups(faces, without)
        places: dict[str, list[int]] = defaultdict(list)
        for place, face in enumerate(faces):
            if face.side == "train" and face.group not in left_out and face.method not in without:
                places[face.corpus].append(place)
        self._corpora = {name: _Corpus(faces, own) for name, own in places.items()}
        trained = {place for corpus in self._corpora.values() for place in corpus.genuine}
        self._others = np.array([place for place in np.flatnonzero(known) if int(place) in trained])
        self._parts = _Choice(self._drawable(shares))
        genuine = [name for name, corpus in self._corpora.items() if corpus.genuine]
        self._pseudo = _Choice(_weights(PSEUDO_SHARES, genuine))

    def _drawable(self, shares: Mapping[str, float] | None) -> dict[str, float]:
        paired = [name for name, corpus in self._corpora.items() if corpus.paired]
        drawn = [*([PSEUDO] if len(self._others) else []), *paired]
        if shares is not None:
            _known("--share", shares, drawn)
            weights = {name: share for name, share in shares.items() if share > 0}
        else:
            weights = _weights(SHARES, drawn)
        if not weights:
            reason = "no pairs can be drawn: the training side has no genuine faces, or every share is 0"
            raise SettingsError(setting="packs", reason=reason)
        return weights

    def draw(self, rng: np.random.Generator, pairs: int) -> Draw:
        """That many pairs."""
        names = self._parts.many(rng, pairs)
        drawn = [self._pseudo_pair(rng) if name == PSEUDO else self._pair(rng, name) for name in names]
        return Draw(
            genuine=np.array([pair[0] for pair in drawn]),
            fake=np.array([pair[1] for pair in drawn]),
            pseudo=np.array([name == PSEUDO for name in names]),
        )

    def _pseudo_pair(self, rng: np.random.Generator) -> tuple[int, int]:
        genuine = _one(rng, self._corpora[self._pseudo.draw(rng)].genuine)
        return genuine, int(self._others[int(rng.integers(len(self._others)))])

    def _pair(self, rng: np.random.Generator, name: str) -> tuple[int, int]:
        corpus = self._corpora[name]
        family = corpus.families.draw(rng)
        method = corpus.methods[family].draw(rng)
        group, fakes = _one(rng, corpus.groups[family, method])
        fake = _one(rng, fakes)
        return self._partner(rng, corpus, group, self._faces[fake].source), fake

    @staticmethod
    def _partner(rng: np.random.Generator, corpus: _Corpus, group: str, source: str) -> int:
        if group in corpus.by_group:
            return _one(rng, corpus.by_group[group])
        if source in corpus.by_source and rng.random() < SAME_SOURCE:
            return _one(rng, corpus.by_source[source])
        return _one(rng, _one(rng, corpus.sources))


def unseen_groups(faces: Iterable[PackedFace], without: Iterable[str]) -> set[str]:
    """The groups seen in the methods `without`, which are left out with them."""
    methods = frozenset(without)
    return {face.group for face in faces if face.method in methods}


def _known(option: str, named: Iterable[str], known: Iterable[str]) -> None:
    unknown = sorted(set(named) - set(known))
    if unknown:
        reason = f"the packs have no {unknown[0]!r} to train on; they have {', '.join(sorted(known))}"
        raise SettingsError(setting=option, reason=reason)


def _weights(table: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    """The table's weights for these names, in its order, and OTHER_SHARE for those it lacks."""
    others = {name: OTHER_SHARE for name in names if name not in table}
    return {name: share for name, share in table.items() if name in names} | others


def _one(rng: np.random.Generator, things: Sequence[Thing]) -> Thing:
    return things[int(rng.integers(len(things)))]


def _broad(sizes: Iterable[int]) -> float:
    return float(sum(sizes) ** 0.5)
