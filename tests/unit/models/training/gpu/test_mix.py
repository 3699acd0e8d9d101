"""Pairs are of the training side, of methods that are not left out, and a fake stands beside its own."""

from collections import Counter

import numpy as np
import pytest

from core.errors import SettingsError
from models.training.gpu.mix import PSEUDO, Draw, Mix
from models.training.gpu.pack import PackedFace
from tests.face_pack import described

RNG = np.random.default_rng


def faces() -> list[PackedFace]:
    """Two corpora of films, and photographs; `solo` has no genuine face of its own group."""
    found = []
    for corpus in ("tools", "more"):
        for number in range(9):
            side = "test" if number == 8 else "train"
            method = "rare" if number == 0 else "usual"
            family = "swap" if number % 2 else "reenact"
            names = {"group": f"{corpus}{number}", "corpus": corpus, "side": side, "source": f"s{number % 3}"}
            found += [
                described(**names, clip="genuine"),
                described(**names, clip="fake", fake=True, family=family, method=method),
            ]
        found.append(
            described(
                group=f"solo-{corpus}", corpus=corpus, source="s1", fake=True, family="swap", method="solo"
            )
        )
    return found + [described(group=f"p{n}", corpus="photo", source="photo") for n in range(5)]


def drawn(mix: Mix, pairs: int = 400) -> Draw:
    return mix.draw(RNG(0), pairs)


def known(count: int) -> np.ndarray:
    return np.ones(count, bool)


def test_neither_the_test_side_nor_what_is_left_out_is_ever_drawn() -> None:
    every = faces()
    draw = drawn(Mix(every, known(len(every)), without=frozenset({"rare"})))
    seen = {int(place) for place in [*draw.genuine, *draw.fake]}
    assert {every[place].side for place in seen} == {"train"}
    assert "rare" not in {every[place].method for place in seen}
    # Whom the method shows is left out with it.
    assert not {"tools0", "more0"} & {every[place].group for place in seen}
    assert {"usual", "solo"} <= {every[place].method for place in seen}
    assert not draw.pseudo.all()


def test_a_fake_stands_beside_a_genuine_face_of_its_group_else_mostly_of_its_source() -> None:
    every = faces()
    draw = drawn(Mix(every, known(len(every))), 800)
    same_source = []
    for genuine, fake, pseudo in zip(draw.genuine, draw.fake, draw.pseudo, strict=True):
        ours, theirs = every[int(genuine)], every[int(fake)]
        assert not ours.fake
        assert theirs.fake is not bool(pseudo)
        if not pseudo:
            assert ours.corpus == theirs.corpus
        if not pseudo and theirs.method != "solo":
            assert ours.group == theirs.group
        elif not pseudo:
            same_source.append(ours.source == theirs.source)
    assert 0.6 < np.mean(same_source) < 1
    again = drawn(Mix(every, known(len(every))), 800)
    assert (again.fake == draw.fake).all()


def test_shares_say_what_a_batch_is_made_of() -> None:
    every = faces()
    draw = drawn(Mix(every, known(len(every)), shares={"more": 0.75, "tools": 0.25}))
    corpora = Counter(every[int(place)].corpus for place in draw.fake)
    assert 0.65 < corpora["more"] / 400 < 0.85
    assert set(corpora) == {"more", "tools"}
    assert not draw.pseudo.any()
    # A corpus that the defaults do not name has a share too.
    draw = drawn(Mix(every, known(len(every))))
    real = Counter(every[int(place)].corpus for place in draw.fake[~draw.pseudo])
    assert min(real["tools"], real["more"]) > 50
    assert drawn(Mix(every, known(len(every)), shares={PSEUDO: 1.0})).pseudo.all()


def test_pseudo_fakes_take_faces_whose_landmarks_are_known() -> None:
    every = faces()
    some = np.array([face.corpus == "photo" for face in every])
    draw = drawn(Mix(every, some, shares={PSEUDO: 1.0}))
    assert {every[int(place)].corpus for place in draw.fake} == {"photo"}
    assert {every[int(place)].corpus for place in draw.genuine} == {"photo", "tools", "more"}


def test_what_names_nothing_is_refused() -> None:
    every = faces()
    with pytest.raises(SettingsError, match=r"--without.*'magic'.*rare, solo, usual"):
        Mix(every, known(len(every)), without=frozenset({"magic"}))
    # No pairs of photographs alone.
    with pytest.raises(SettingsError, match=r"--share.*'photo'.*more, pseudo, tools"):
        Mix(every, known(len(every)), shares={"photo": 1.0})
    with pytest.raises(SettingsError, match="no pairs"):
        Mix([face for face in every if face.fake], known(4))
    with pytest.raises(SettingsError, match="no pairs"):
        Mix(every, known(len(every)), shares={"tools": 0.0})
