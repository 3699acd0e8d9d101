"""Cursors come from strangers."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidQuery
from storage.queue.filters import Position, Sort, parse_cursor

ids = st.integers(0, 2**31 - 1)
moments = st.datetimes(datetime(1970, 1, 1), datetime(2999, 1, 1), timezones=st.just(UTC))


@given(ids, st.floats(0, 1) | st.none())
def test_a_position_by_score_comes_back(id_: int, score: float | None) -> None:
    position = Position(id=id_, score=score, added_at=None)
    assert parse_cursor(position.to_cursor(), Sort.SCORE) == position
    with pytest.raises(InvalidQuery):
        parse_cursor(position.to_cursor(), Sort.TIME)


@given(ids, moments)
def test_a_position_by_time_comes_back(id_: int, moment: datetime) -> None:
    position = Position(id=id_, score=None, added_at=moment)
    assert parse_cursor(position.to_cursor(), Sort.TIME) == position
    with pytest.raises(InvalidQuery):
        parse_cursor(position.to_cursor(), Sort.SCORE)


@given(st.text(max_size=200), st.sampled_from(Sort))
def test_anything_else_is_refused(cursor: str, sort: Sort) -> None:
    try:
        parse_cursor(cursor, sort)
    except InvalidQuery as error:
        assert error.code == "invalid_query"


@pytest.mark.parametrize(
    "cursor",
    ["", "W10", "WzEsbnVsbCxudWxsXQ=====", "WzEsIDIsIG51bGxd", "WzEsTmFOLG51bGxd", "W3RydWUsMC41LG51bGxd"],
)
def test_what_looks_like_one_and_is_none_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidQuery):
        parse_cursor(cursor, Sort.SCORE)
