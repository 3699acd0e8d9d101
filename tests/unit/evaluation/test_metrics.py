"""Metrics: the weighted ones that intervals come from are scikit-learn's; intervals resample groups."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from evaluation.metrics import (
    METRICS,
    Scored,
    expected_calibration_error,
    measure,
    measure_with_intervals,
    reliability,
    weighted,
)


def scored(fake: list[int], probability: list[float], group: list[int] | None = None) -> Scored:
    return Scored(
        fake=np.array(fake, bool),
        probability=np.array(probability, np.float64),
        group=np.array(range(len(fake)) if group is None else group),
    )


@st.composite
def samples(draw: st.DrawFn) -> Scored:
    count = draw(st.integers(2, 30))
    fake = draw(arrays(bool, count))
    coarse = draw(arrays(np.int64, count, elements=st.integers(0, 20)))  # coarse, so that scores tie
    return Scored(fake=fake, probability=coarse / 20, group=np.arange(count))


@given(samples(), st.floats(0, 1))
@settings(max_examples=100)
def test_equal_weights_give_what_scikit_learn_gives(sample: Scored, threshold: float) -> None:
    ours = weighted(sample, np.ones((1, len(sample))), threshold=threshold)
    theirs = measure(sample, threshold=threshold)
    assert set(ours) == set(theirs) == set(METRICS)
    for name in METRICS:
        assert ours[name][0] == pytest.approx(theirs[name], abs=1e-9, nan_ok=True), name


@given(samples(), st.integers(0, 2**31))
@settings(max_examples=50)
def test_a_weight_is_the_number_of_times_an_entry_is_there(sample: Scored, seed: int) -> None:
    times = np.random.default_rng(seed).integers(0, 4, len(sample))
    times[0] = max(1, times[0])
    repeated = sample.only(np.repeat(np.arange(len(sample)), times))
    ours = weighted(sample, times[None].astype(np.float64), threshold=0.5)
    for name, value in measure(repeated, threshold=0.5).items():
        assert ours[name][0] == pytest.approx(value, abs=1e-9, nan_ok=True), name


def test_known_answers() -> None:
    sample = scored([0, 0, 0, 0, 1, 1, 1, 1], [0.1, 0.2, 0.3, 0.9, 0.4, 0.6, 0.8, 0.95])
    values = measure(sample, threshold=0.5)
    assert values["accuracy"] == 0.75
    assert values["precision"] == values["recall"] == 0.75
    assert values["false_positive_rate"] == 0.25
    assert values["auc"] == pytest.approx(13 / 16)
    assert values["eer"] == pytest.approx(0.25)
    assert values["recall_at_5_fpr"] == values["recall_at_1_fpr"] == 0.25
    assert values["mcc"] == pytest.approx(0.5)


def test_scikit_learns_own_scores_are_what_is_reported() -> None:
    rng = np.random.default_rng(0)
    fake = rng.random(500) < 0.4
    probability = np.clip(rng.normal(0.4 + 0.2 * fake, 0.2), 0, 1)
    values = measure(Scored(fake=fake, probability=probability, group=np.arange(500)), threshold=0.5)
    assert values["auc"] == pytest.approx(roc_auc_score(fake, probability))
    assert values["average_precision"] == pytest.approx(average_precision_score(fake, probability))
    assert values["brier"] == pytest.approx(brier_score_loss(fake, probability))
    assert values["log_loss"] == pytest.approx(log_loss(fake, probability))


def test_the_calibration_error_is_the_gap_between_stated_and_found() -> None:
    assert expected_calibration_error(scored([0, 0, 1, 1], [0.05, 0.05, 0.95, 0.95])) == pytest.approx(0.05)
    assert expected_calibration_error(scored([1, 1, 1, 1], [0.05] * 4)) == pytest.approx(0.95)
    stated, found, counts = reliability(scored([0, 1, 1, 1], [0.31, 0.39, 1.0, 1.0]))
    assert counts.tolist() == [0, 0, 0, 2, 0, 0, 0, 0, 0, 2]
    assert stated[3] == pytest.approx(0.35)
    assert found[[3, 9]].tolist() == [0.5, 1.0]
    assert np.isnan(found[0])


def test_what_is_undefined_is_none_and_not_zero() -> None:
    genuine_only = measure_with_intervals(scored([0, 0, 0], [0.1, 0.2, 0.7]), threshold=0.5)
    assert genuine_only["auc"].value is genuine_only["auc"].low is None
    assert genuine_only["recall"].value is None
    assert genuine_only["precision"].value == 0
    assert genuine_only["false_positive_rate"].value == pytest.approx(1 / 3)
    nothing = measure_with_intervals(scored([], []), threshold=0.5)
    assert {interval.value for interval in nothing.values()} == {None}


def test_frames_of_one_video_are_no_independent_evidence() -> None:
    rng = np.random.default_rng(1)
    videos = np.repeat(np.arange(20), 25)
    fake = videos % 2 == 0
    # Frames of a video are nearly equal: 500 frames say no more than 20 videos.
    probability = np.clip(0.45 + 0.1 * fake + rng.normal(0, 0.15, 20)[videos], 0, 1)
    together = Scored(fake=fake, probability=probability, group=videos)
    apart = Scored(fake=fake, probability=probability, group=np.arange(500))
    wide = measure_with_intervals(together, threshold=0.5)["auc"]
    narrow = measure_with_intervals(apart, threshold=0.5)["auc"]
    assert wide.value == narrow.value
    assert wide.low is not None
    assert wide.high is not None
    assert narrow.low is not None
    assert narrow.high is not None
    assert wide.low < wide.value < wide.high  # type: ignore[operator]
    assert wide.high - wide.low > 2.5 * (narrow.high - narrow.low)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    hits = 0
    for trial in range(100):
        rng = np.random.default_rng(trial)
        flagged = rng.random(60) < 0.7
        sample = Scored(fake=np.ones(60, bool), probability=flagged.astype(float), group=np.arange(60))
        recall = measure_with_intervals(sample, threshold=0.5, resamples=400, seed=trial)["recall"]
        assert recall.low is not None
        assert recall.high is not None
        hits += recall.low <= 0.7 <= recall.high
    assert 86 <= hits <= 100  # 95 expected


def test_the_same_seed_gives_the_same_interval() -> None:
    sample = scored([0, 1] * 10, list(np.linspace(0.1, 0.9, 20)))
    first = measure_with_intervals(sample, threshold=0.5, seed=3)
    assert first == measure_with_intervals(sample, threshold=0.5, seed=3)
    assert first != measure_with_intervals(sample, threshold=0.5, seed=4)
    one_group = measure_with_intervals(scored([0, 1], [0.2, 0.8], [7, 7]), threshold=0.5)
    assert one_group["auc"].value == 1
    assert one_group["auc"].low is None
