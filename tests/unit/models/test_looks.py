"""What the highest of many logits is worth alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from core.model_version import Calibration, Looks
from models.looks import Looked, alone

LOOKS = Looks(centre=-2.0, spread=1.6, repeat=0.4)
LOGIT = st.floats(-40, 40)
TRACKS = st.lists(st.lists(LOGIT, min_size=1, max_size=12), min_size=1, max_size=12)


def one(logit: float, count: float, looks: Looks = LOOKS) -> float:
    return float(alone(np.array([logit]), np.array([count]), looks)[0])


def looked(*tracks: list[float], looks: Looks = LOOKS) -> Looked:
    return Looked(tracks, looks, window=16)


def test_one_look_is_what_it_is() -> None:
    assert looked([3.0]).alone(3.0) == 3.0
    assert one(3.0, 1.0) == 3.0


@pytest.mark.parametrize("count", [2, 5, 24, 300])
def test_the_best_of_many_genuine_looks_is_as_rare_as_one_look(count: int) -> None:
    """Among as many genuine faces, no more videos reach a threshold than among single ones."""
    highest = norm.rvs(-2.0, 1.6, size=(4000, count), random_state=1).max(axis=1)
    corrected = alone(highest, np.full(len(highest), float(count)), LOOKS)
    for chance in (0.5, 0.05):
        threshold = norm.isf(chance, -2.0, 1.6)
        assert np.mean(corrected >= threshold) == pytest.approx(chance, abs=4 * (chance / 4000) ** 0.5)


def test_the_chance_is_sidaks() -> None:
    chance = norm.sf(3.0, -2.0, 1.6)
    assert norm.sf(one(3.0, 24), -2.0, 1.6) == pytest.approx(1 - (1 - chance) ** 24)


def test_caution_below_one_corrects_less() -> None:
    careful = Looks(centre=-2.0, spread=1.6, caution=0.5)
    assert one(3.0, 16, careful) == pytest.approx(one(3.0, 4))
    assert one(3.0, 16) < one(3.0, 16, careful) < 3.0


@given(LOGIT, LOGIT, st.floats(1, 1e6), st.floats(1, 1e6))
def test_it_grows_with_the_logit_and_falls_with_the_looks(
    low: float, high: float, few: float, many: float
) -> None:
    low, high, few, many = *sorted((low, high)), *sorted((few, many))
    assert one(low, few) <= one(high, few) + 1e-6
    assert one(high, many) <= one(high, few) + 1e-6 <= high + 2e-6
    assert np.isfinite(one(low, many))


@given(TRACKS, st.randoms(use_true_random=False), st.floats(0, 30))
def test_raising_a_logit_never_lowers_the_worst(tracks: list[list[float]], random: object, by: float) -> None:
    raised = [list(track) for track in tracks]
    track = random.choice(raised)  # type: ignore[attr-defined]
    track[random.randrange(len(track))] += by  # type: ignore[attr-defined]
    before, after = looked(*tracks), looked(*raised)
    highest = [max(max(track) for track in each) for each in (tracks, raised)]
    assert after.alone(highest[1]) >= before.alone(highest[0]) - 1e-6


def test_a_face_among_many_has_to_stand_out_and_all_of_them_need_not() -> None:
    genuine = [[-2.0]] * 23
    lone, shared = looked([3.0], *genuine), looked(*([[3.0]] * 24))
    assert lone.count == shared.count == 24
    assert lone.alone(3.0) == pytest.approx(one(3.0, 24))
    assert shared.alone(3.0) == 3.0
    half = looked(*([[3.0]] * 12), *([[-2.0]] * 12))
    assert half.alone(3.0) == pytest.approx(one(3.0, 2))


def test_stretches_of_one_face_count_for_less_than_faces() -> None:
    hour = [-2.0] * (1800 - 15)
    assert looked(hour).count == pytest.approx((1800 / 16) ** 0.4)
    assert looked([3.0] * (1800 - 15)).alone(3.0) == 3.0
    short = looked([*hour[:-10], *[3.0] * 10])
    assert one(3.0, 1800 / 16) < short.alone(3.0) < 3.0


def test_from_where_on_a_stretch_is_flagged() -> None:
    video = looked([-2.0, 0.5, 3.0], [2.0])
    least = video.least(lambda lone: lone >= 1.0)
    assert least is not None
    assert video.alone(least) >= 1.0
    below = max(logit for logit in (-2.0, 0.5, 2.0, 3.0) if logit < least)
    assert video.alone(below) < 1.0
    assert video.least(lambda lone: lone >= 4.0) is None


def test_without_a_spread_nothing_is_corrected() -> None:
    assert looked([1.0], [2.0], looks=Looks()).alone(2.0) == 2.0


def test_a_calibration_of_an_older_release_has_no_looks() -> None:
    older = Calibration.of({"slope": 2.0, "intercept": 1.0, "method": "platt", "fitted_on": "x"})
    assert older.looks == Looks()
    assert Calibration.of({"looks": {"centre": -2.0, "spread": 1.0}}).looks.spread == 1.0
