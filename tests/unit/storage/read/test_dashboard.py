"""The dashboard's arithmetic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from storage.read.dashboard import BINS, FEWEST_SCORES, stability_index, wilson

histograms = st.lists(st.integers(0, 500), min_size=BINS, max_size=BINS)


@given(st.integers(1, 400), st.integers(0, 400))
def test_the_interval_is_that_of_scipy(tries: int, hits: int) -> None:
    hits = min(hits, tries)
    theirs = binomtest(hits, tries).proportion_ci(0.95, method="wilson")
    assert wilson(hits, tries) == pytest.approx((theirs.low, theirs.high), abs=1e-6)


def test_without_tries_there_is_no_interval() -> None:
    assert wilson(0, 0) == (None, None)


@given(histograms, histograms)
def test_the_index_of_drift_is_a_distance(before: list[int], recent: list[int]) -> None:
    index = stability_index(before, recent)
    if min(sum(before), sum(recent)) < FEWEST_SCORES:
        assert index is None
        return
    assert index is not None
    assert index >= 0
    assert index == pytest.approx(stability_index(recent, before) or 0.0)
    assert stability_index(before, before) == 0


def test_scores_that_move_by_a_bin_are_seen() -> None:
    calm, moved = [0] * BINS, [0] * BINS
    calm[3], calm[4], moved[4], moved[5] = 500, 500, 500, 500
    index = stability_index(calm, moved)
    assert index is not None
    assert index > 0.25
