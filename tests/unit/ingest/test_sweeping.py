"""When the daily sweep is due."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.sweeping import is_due


def at(day: int, hour: int, minute: int = 0) -> float:
    return datetime(2026, 6, day, hour, minute).astimezone().timestamp()


@pytest.mark.parametrize(
    ("last", "now", "due"),
    [
        (at(1, 3, 1), at(1, 22), False),  # swept tonight
        (at(1, 3, 1), at(2, 2, 59), False),
        (at(1, 3, 1), at(2, 3), True),
        (at(1, 3, 1), at(2, 9), True),  # the machine was off in the night
        (at(1, 3, 1), at(9, 1), True),
    ],
)
def test_it_is_due_once_the_hour_has_struck(last: float, now: float, due: bool) -> None:
    assert is_due(last, now, 3) is due


@given(hour=st.integers(0, 23), now=st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)))
def test_it_is_never_due_twice_at_once_and_never_put_off_for_more_than_a_day(
    hour: int, now: datetime
) -> None:
    moment = now.astimezone().timestamp()
    assert not is_due(moment, moment, hour)
    assert is_due(moment - timedelta(hours=26).total_seconds(), moment, hour)
