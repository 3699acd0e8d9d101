import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.families import Family, FamilyCalibration, Resemblance

LOGITS = st.lists(st.floats(-1e6, 1e6), min_size=len(Family), max_size=len(Family))


@given(LOGITS, st.floats(0.05, 20))
def test_probabilities_keep_the_order_and_sum_to_one(logits: list[float], temperature: float) -> None:
    said = FamilyCalibration(temperature=temperature, least=0.5).probabilities(logits)
    assert sum(said) == pytest.approx(1)
    assert all(0 <= each <= 1 for each in said)
    ordered = sorted(zip(logits, said, strict=True))
    assert [each for _, each in ordered] == sorted(said)


def test_a_higher_temperature_is_less_sure() -> None:
    sure, careful = (
        max(FamilyCalibration(temperature=each, least=0.5).probabilities([3.0, 1.0])) for each in (1.0, 2.0)
    )
    assert sure == pytest.approx(0.8808, abs=1e-4)
    assert careful == pytest.approx(0.7311, abs=1e-4)


def test_only_what_is_likely_enough_is_named() -> None:
    families = (Family.SWAP, Family.GENERATE)
    logits = [1.0, 3.0]
    willing, unwilling = (FamilyCalibration(temperature=1.0, least=least) for least in (0.88, 0.89))
    named = willing.resemblance(families, logits)
    assert named == Resemblance(family=Family.GENERATE, probability=pytest.approx(0.8808, abs=1e-4))
    assert unwilling.resemblance(families, logits) is None
