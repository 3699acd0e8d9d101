from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from review.pages import plots

DAYS = [date(2026, 11, 1) + timedelta(days=number) for number in range(30)]


@given(st.floats(0, 1e9))
def test_an_axis_ends_at_or_above_the_largest_value(largest: float) -> None:
    top = plots.ceiling(largest)
    assert top >= largest
    assert top <= max(1.0, 2.5 * largest)


@pytest.mark.parametrize("top", [1, 2, 4, 5, 8, 10, 20, 50, 4000])
def test_grid_lines_lie_at_whole_numbers(top: float) -> None:
    texts = [text for _, text in plots.axis(DAYS, top).grid]
    assert len(set(texts)) == len(texts)
    assert texts[-1] == f"{top:,}"


def test_today_is_named_on_the_axis() -> None:
    labels = [text for _, text in plots.axis(DAYS, 10).labels]
    assert labels[-1] == "30 Nov"
    assert len(labels) <= plots.MOST_LABELS


def test_bars_are_as_high_as_their_values() -> None:
    series = {"screened": [0] * 28 + [5, 10], "decided": [0] * 29 + [1]}
    bars = plots.bars(DAYS, series, 10, names={"screened": "screened", "decided": "decisions"})
    assert [(bar.kind, bar.label) for bar in bars] == [
        ("screened", "29 Nov: 5 screened"),
        ("screened", "30 Nov: 10 screened"),
        ("decided", "30 Nov: 1 decisions"),
    ]
    assert bars[1].height == pytest.approx(2 * bars[0].height)
    assert bars[2].x >= bars[1].x + bars[1].width - 0.01


def test_a_day_without_a_value_breaks_the_line() -> None:
    drawn = plots.line(DAYS[:4], [0.1, None, 0.5, 0.9], 1.0)
    assert drawn.path.count("M") == 1
    assert len(drawn.points) == 3


def test_shares_fill_the_bar() -> None:
    parts = plots.shares({"fake": 1, "suspect": 0, "clear": 3})
    assert [part.kind for part in parts] == ["fake", "clear"]
    assert sum(part.width for part in parts) == pytest.approx(plots.WIDTH)
    assert plots.shares({"fake": 0}) == []


def test_the_fullest_bin_of_a_histogram_is_the_highest() -> None:
    bars = plots.histogram([0, 2, 4], "screened")
    assert [bar.label for bar in bars] == ["33% to 67%: 33.3%", "67% to 100%: 66.7%"]
    assert bars[1].height == 2 * bars[0].height
    assert plots.histogram([0, 0], "screened") == []
