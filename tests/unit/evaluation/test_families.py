"""The families of fakes: what is fitted on one side, and what is said of the other."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.families import Family, FamilyCalibration
from core.model_version import Calibration, ModelVersion
from evaluation.families import LOWEST, RIGHT, KnownFake, fit_families, table

FAMILIES = (Family.SWAP, Family.REENACT, Family.GENERATE)


def fake(family: Family, *logits: float, group: str = "", flagged: bool = True) -> KnownFake:
    return KnownFake(
        group=group or f"{family}-{logits}", family=family, method="tool", logits=logits, flagged=flagged
    )


def drawn(temperature: float, count: int = 1500) -> list[KnownFake]:
    """Fakes whose family is drawn with the probabilities that their logits have at `temperature`."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(count):
        logits = rng.normal(0, 4, len(FAMILIES))
        chances = np.exp(logits / temperature)
        family = FAMILIES[int(rng.choice(len(FAMILIES), p=chances / chances.sum()))]
        made.append(fake(family, *logits.tolist(), group=str(number)))
    return made


@pytest.mark.parametrize("temperature", [0.7, 2.5])
def test_the_temperature_that_made_them_is_found(temperature: float) -> None:
    made = drawn(temperature)
    fitted = fit_families(made, FAMILIES)
    assert fitted is not None
    assert fitted.temperature == pytest.approx(temperature, rel=0.15)
    assert fitted.fitted_on.startswith("1500 fakes of 1500 held-out persons and videos: ")
    named = [(one, fitted.resemblance(FAMILIES, one.logits)) for one in made]
    right = [said.family == one.family for one, said in named if said is not None]
    assert np.mean(right) >= RIGHT
    assert fitted.least > LOWEST  # less sure ones are wrong too often


def test_a_person_of_many_clips_weighs_as_much_as_one_of_one() -> None:
    once = [fake(Family.SWAP, 3.0, 0.0, 0.0, group="a"), fake(Family.REENACT, 1.0, 0.0, 0.0, group="b")]
    often = [once[0]] * 20 + [once[1]]
    assert fit_families(often, FAMILIES) is not None
    fitted, same = fit_families(often, FAMILIES), fit_families(once, FAMILIES)
    assert fitted is not None
    assert same is not None
    assert fitted.temperature == pytest.approx(same.temperature, rel=1e-3)


@pytest.mark.parametrize(
    "fakes",
    [
        [],
        [fake(Family.SWAP, 1.0, 0.0, 0.0)],
        [fake(Family.SWAP, 1.0, 0.0, 0.0), fake(Family.LIPSYNC, 0.0, 0.0, 1.0)],
    ],
)
def test_fewer_than_two_known_families_calibrate_nothing(fakes: Sequence[KnownFake]) -> None:
    assert fit_families(fakes, FAMILIES) is None


def version(least: float = 0.6) -> ModelVersion:
    return ModelVersion(
        architecture="smallcnn",
        label="test",
        weights_sha256="0" * 64,
        input_size=64,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        families=FAMILIES,
        calibration=Calibration(families=FamilyCalibration(temperature=1.0, least=least)),
    )


def test_named_rightly_wrongly_and_not_at_all_are_told_apart() -> None:
    fakes = [
        fake(Family.SWAP, 5.0, 0.0, 0.0),  # right
        fake(Family.SWAP, 0.0, 0.0, 5.0),  # called generated
        fake(Family.GENERATE, 0.1, 0.0, 0.2, flagged=False),  # not sure enough, though right
        fake(Family.LIPSYNC, 5.0, 0.0, 0.0),  # a family that this checkpoint does not know
    ]
    made = table(fakes, version())
    assert made["families"] == ["swap", "reenact", "generate"]
    everything, flagged = made["all"], made["flagged"]
    assert everything["confusion"] == {"swap": [1, 0, 1, 0], "generate": [0, 0, 0, 1]}
    assert [everything[each] for each in ("fakes", "named", "right", "likeliest_right")] == [3, 2, 1, 2]
    assert everything["methods"] == {"tool": [3, 2, 1]}
    assert flagged["confusion"] == {"swap": [1, 0, 1, 0]}
    assert flagged["ece_named"] == pytest.approx(0.987 - 0.5, abs=1e-3)  # sure of both, right about one


def test_where_no_family_is_named_there_is_no_table() -> None:
    assert table([], version()) == {}
    assert table([fake(Family.SWAP, 5.0, 0.0, 0.0)], replace(version(), calibration=Calibration())) == {}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(FAMILIES), st.lists(st.floats(-20, 20), min_size=3, max_size=3), st.booleans()
        ),
        min_size=1,
        max_size=20,
    )
)
def test_every_fake_is_counted_once(drawn_fakes: list[tuple[Family, list[float], bool]]) -> None:
    fakes = [fake(family, *logits, flagged=flagged) for family, logits, flagged in drawn_fakes]
    made = table(fakes, version())
    for name, count in (("all", len(fakes)), ("flagged", sum(one.flagged for one in fakes))):
        part = made[name]
        assert part["fakes"] == count == sum(map(sum, part["confusion"].values()))
        assert part["right"] <= part["named"] <= count
        assert part["ece"] is None or 0 <= part["ece"] <= 1
