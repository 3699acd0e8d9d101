"""Looks at keys, claimed by one process at a time, on both databases."""

import pytest
from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from storage import key_looks
from storage.clock import after
from storage.engine import transaction
from storage.tables import KeyLook

KEYS = ["a.mp4", "with\0nul", "ü/漢 字+.mp4"]


def claim(engine: Engine) -> list[key_looks.Look]:
    with transaction(engine) as session:
        return key_looks.claim(session, "drop", most=2, seconds=60)


def test_each_look_is_one_process_s_until_its_claim_ends(engine: Engine) -> None:
    with transaction(engine) as session:
        key_looks.add(session, "drop", KEYS)
        key_looks.add(session, "other", ["x"])
    first, second = claim(engine), claim(engine)
    assert sorted(look.key for look in (*first, *second)) == sorted(KEYS)
    assert (len(first), claim(engine)) == (2, [])
    with transaction(engine) as session:
        key_looks.remove(session, first)
        key_looks.postpone(session, second, seconds=-1)
        assert key_looks.waiting(session, "drop") == 1
    assert [look.tries for look in claim(engine)] == [2]
    with transaction(engine) as session:
        session.execute(update(KeyLook).values(due_at=after(-1)))
    assert [look.tries for look in claim(engine)] == [3]


def test_two_at_once_claim_different_ones(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    with transaction(engine) as session:
        key_looks.add(session, "drop", KEYS)
    with Session(engine) as one, Session(engine) as other, one.begin(), other.begin():
        first = key_looks.claim(one, "drop", most=2, seconds=60)
        second = key_looks.claim(other, "drop", most=2, seconds=60)
        assert len({look.id for look in (*first, *second)}) == 3
