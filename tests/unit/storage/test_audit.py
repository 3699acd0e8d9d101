"""The hash of one event."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from storage.audit import FIRST, event_hash

AT = datetime(2026, 11, 21, 8, 30, 0, 120, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def hashed(previous: str = FIRST, **other: Any) -> str:
    fields: dict[str, Any] = {"id": 1, "at": AT, "actor": "a", "action": "b", "subject": "c", "detail": {}}
    return event_hash(previous, **fields | other)


def test_it_is_the_published_one() -> None:
    """Whoever checks a chain with other tools relies on it: it must not change by accident."""
    assert hashed() == "fd44df344383d54bfbb46ff8f986318c3efbd201757042223ecf1df11a24f45a"


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_the_order_of_keys_does_not_matter(detail: dict[str, Any]) -> None:
    assert hashed(detail=detail) == hashed(detail=dict(reversed(detail.items())))


def test_every_field_matters() -> None:
    later, other_zone = AT + timedelta(microseconds=1), AT.astimezone(timezone(timedelta(hours=5)))
    changed = [
        hashed("1" * 64),
        hashed(id=2),
        hashed(at=later),
        hashed(actor="x"),
        hashed(action="x"),
        hashed(subject="x"),
        hashed(detail={"x": 1}),
    ]
    assert len({hashed(), *changed}) == 8
    assert hashed(at=other_zone) == hashed()
