"""A probe is never tested on a method or a source that it learnt from."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.probe.leaving_out import folds, logits, ranked
from core.errors import SettingsError
from models.training.gpu.pack import PackedFace
from tests.face_pack import described

FOLDS = 3


def face(source: str, method: str = "genuine", *, group: str, corpus: str = "tools") -> PackedFace:
    fake = method != "genuine"
    family = "swap" if fake else "genuine"
    return described(
        fake=fake, family=family, method=method, group=group, source=source, corpus=corpus, clip=group
    )


@st.composite
def faces(draw: st.DrawFn) -> list[PackedFace]:
    rows = draw(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 5)), min_size=1, max_size=30))
    return [
        face(f"s{source}", f"m{method}" if method else "genuine", group=f"g{number}")
        for number, (source, method) in enumerate(rows)
    ]


@settings(max_examples=60)
@given(faces(), st.integers(0, 9))
def test_a_source_and_a_method_lie_in_one_fold(some: list[PackedFace], seed: int) -> None:
    found = folds(some, "tools", FOLDS, np.random.default_rng(seed))
    assert found.min() >= 0
    assert found.max() < FOLDS
    for names in ([one.source for one in some], [one.method if one.fake else None for one in some]):
        for name in set(names) - {None}:
            assert len({fold for fold, other in zip(found, names, strict=True) if other == name}) == 1


def test_in_other_corpora_methods_or_else_groups_stay_together() -> None:
    generated = [
        face("site", f"g{number % 2}", group=f"{number}", corpus="generated") for number in range(20)
    ]
    pairs = [
        face("dfdc", method, group=f"d{number}", corpus="dfdc")
        for number in range(40)
        for method in ("genuine", "dfdc")
    ]
    found = folds([*generated, *pairs], "tools", FOLDS, np.random.default_rng(1))
    assert len(set(found[:20:2])) == len(set(found[1:20:2])) == 1
    assert (found[20::2] == found[21::2]).all()
    assert set(found[20:]) == {0, 1, 2}


def made(trait: float, own: float) -> tuple[np.ndarray, list[PackedFace]]:
    """Six sources: fakes share `trait`, and each source's fakes have a trait of their own."""
    rng = np.random.default_rng(0)
    some, rows = [], []
    for source in range(6):
        for number in range(30):
            fake = number % 2 == 1
            some.append(face(f"s{source}", f"m{source}" if fake else "genuine", group=f"s{source}-{number}"))
            row = rng.normal(size=8)
            row[0] += trait * fake
            row[1 + source] += own * fake
            rows.append(row)
    return np.array(rows, np.float32), some


@pytest.mark.parametrize(("trait", "own", "least", "most"), [(4.0, 0.0, 0.95, 1.0), (0.0, 6.0, 0.0, 0.65)])
def test_only_what_fakes_have_in_common_is_found_in_a_source_left_out(
    trait: float, own: float, least: float, most: float
) -> None:
    values, some = made(trait, own)
    fold = folds(some, "tools", FOLDS, np.random.default_rng(0))
    found = ranked(logits(values, some, fold, strength=1.0), some, "tools")
    assert found["all"] == found["swap"]
    assert least <= found["all"] <= most


def test_classes_weigh_the_same_however_many_files_they_have() -> None:
    rng = np.random.default_rng(0)
    genuine = [face("a", group=f"g{number}") for number in range(400)]
    fakes = [face("b", "m", group=f"f{number}") for number in range(8)]
    values = rng.normal(size=(408, 2)).astype(np.float32)
    fold = np.arange(408) % 2
    assert abs(float(logits(values, [*genuine, *fakes], fold, strength=1e-6).mean())) < 0.1


def test_a_medium_is_the_mean_of_its_faces() -> None:
    some = [face("a", group="g"), face("a", group="g"), face("a", "m", group="g"), face("a", "m", group="g")]
    assert ranked(np.array([9.0, -9.0, 1.0, 1.0]), some, "tools") == {"all": 1.0, "swap": 1.0}


def test_where_only_one_class_is_left_to_learn_from_it_is_refused() -> None:
    some = [face("a", group="g"), face("a", "m", group="f"), face("b", group="h")]
    with pytest.raises(SettingsError, match="one class is left"):
        logits(np.zeros((3, 1), np.float32), some, np.array([0, 0, 1]), strength=1.0)
