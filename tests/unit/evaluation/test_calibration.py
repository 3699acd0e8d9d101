"""Calibration: probabilities that hold, thresholds that keep the wanted rate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model_version import Calibration, Looks
from evaluation.calibration import Method, Seen, caution, fit, fit_looks, overlap, thresholds
from models.looks import alone

RNG = np.random.default_rng(0)
FAKE = np.arange(4000) % 2 == 0
PEOPLE = np.arange(4000).astype(np.str_)


@pytest.mark.parametrize("method", ["platt", "temperature"])
def test_it_finds_the_slope_that_made_the_scores(method: Method) -> None:
    # Two normal classes at -1 and 1 of deviation 1: the true log-odds are twice the score.
    raw = RNG.normal(np.where(FAKE, 1.0, -1.0), 1.0)
    made = fit(raw, FAKE, PEOPLE, method=method, fitted_on="a test")
    assert made.slope == pytest.approx(2.0, rel=0.12)
    assert made.intercept == pytest.approx(0.0, abs=0.15)
    assert (made.method, made.fitted_on) == (method, "a test")


def test_platt_moves_scores_that_are_off_centre() -> None:
    raw = RNG.normal(np.where(FAKE, 4.0, 2.0), 1.0)
    made = fit(raw, FAKE, PEOPLE, method="platt", fitted_on="")
    assert made.probability(3.0) == pytest.approx(0.5, abs=0.05)


def test_a_person_of_many_clips_weighs_no_more_than_one_of_few() -> None:
    raw = np.array([-1.0] * 90 + [1.0] + [0.0] * 9 + [3.0])
    fake = np.array([False] * 91 + [True] * 10)
    people = np.array(["many"] * 90 + ["one"] + ["fake"] * 10)
    thinned = [0, 90, *range(91, 101)]
    ours = fit(raw, fake, people, method="temperature", fitted_on="")
    theirs = fit(raw[thinned], fake[thinned], people[thinned], method="temperature", fitted_on="")
    assert ours.slope == pytest.approx(theirs.slope, rel=1e-3)


def test_one_class_alone_cannot_be_calibrated() -> None:
    with pytest.raises(ValueError, match="genuine and fake"):
        fit(np.ones(3), np.ones(3, bool), np.array(["a", "b", "c"]), method="platt", fitted_on="")


@given(
    st.lists(st.tuples(st.floats(-30, 30), st.integers(0, 6)), min_size=1, max_size=40),
    st.floats(0.001, 0.5),
)
def test_no_more_than_the_wanted_part_is_flagged(clips: list[tuple[float, int]], rate: float) -> None:
    raw = np.array([value for value, _ in clips])
    people = np.array([str(person) for _, person in clips])
    calibration = Calibration(slope=1.3, intercept=-0.2)
    made = thresholds(calibration, raw, people, rate=rate)
    assert 0 <= made.suspect <= made.fake <= 1
    flagged = np.array([calibration.probability(value) >= made.suspect for value in raw])
    parts = [flagged[people == person].mean() for person in np.unique(people)]
    # A score that rounds to certainty cannot be kept out: no threshold lies above it.
    certain = np.array([calibration.probability(value) >= 1 for value in raw])
    assert certain.any() or np.mean(parts) <= rate + 1e-9


def test_few_people_put_the_threshold_above_them_all() -> None:
    raw = np.array([-2.0, 0.0, 1.0])
    made = thresholds(Calibration(), raw, np.array(["a", "b", "c"]), rate=0.05)
    highest = Calibration().probability(1.0)
    assert highest < made.suspect <= highest + 0.001
    assert made.fake == made.suspect


def test_many_people_let_the_wanted_part_through() -> None:
    raw = np.linspace(-3, 3, 200)
    made = thresholds(Calibration(), raw, np.arange(200).astype(np.str_), rate=0.05)
    flagged = [Calibration().probability(value) >= made.suspect for value in raw]
    assert sum(flagged) in (9, 10)
    assert sum(Calibration().probability(value) >= made.fake for value in raw) in (1, 2)  # 1%


def test_an_overlap_is_named() -> None:
    assert overlap(["a", "b"], ["c", "b"]) == ["b"]


def seen(group: str, *logits: float) -> Seen:
    return Seen(group=group, video=True, logits=logits)


def test_the_spread_of_genuine_faces_weighs_each_person_the_same() -> None:
    many = [seen("many", -3.0)] * 50
    looks = fit_looks([*many, seen("a", -1.0), seen("b", 1.0)], fitted_on="three")
    assert looks.centre == pytest.approx(-1.0)
    assert looks.spread == pytest.approx((8 / 3) ** 0.5)
    assert (looks.repeat, looks.caution, looks.fitted_on) == (0.0, 1.0, "three")


def test_stretches_of_a_restless_face_are_more_looks_than_those_of_a_still_one() -> None:
    people = [RNG.normal(0.0, 2.0) for _ in range(30)]
    still, restless = (
        fit_looks(
            [seen(str(n), *RNG.normal(mean, deviation, 12)) for n, mean in enumerate(people)], fitted_on=""
        )
        for deviation in (0.3, 3.0)
    )
    assert 0 < still.repeat < 0.15 < restless.repeat < 1


def test_as_much_of_the_correction_as_the_fakes_bear() -> None:
    looks = Looks(centre=-2.0, spread=1.5)
    strong, weak = np.full(10, 9.0), np.full(10, 2.2)
    assert caution(looks, strong, 2.0, kept=0.75).caution == 1.0
    assert caution(looks, weak, 2.0, kept=0.75).caution < 0.3
    assert caution(looks, np.concatenate([strong, weak]), 2.0, kept=0.5).caution == 1.0
    middling = caution(looks, np.linspace(2.2, 4.2, 20), 2.0, kept=0.75)
    assert 0 < middling.caution < 1
    worth = alone(np.linspace(2.2, 4.2, 20), np.full(20, 25.0), middling)
    assert np.mean(worth >= 2.0) >= 0.75
