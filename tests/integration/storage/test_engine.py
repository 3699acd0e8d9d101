"""Transactions: those that only read, and those of one statement."""

from contextlib import suppress

import pytest
from sqlalchemy import Engine, create_engine, func, insert, select, text
from sqlalchemy.exc import DBAPIError

from core.errors import ServiceUnavailable
from storage import audit
from storage import engine as module
from storage.engine import connect, reading, single, transaction
from storage.tables import Account, AuditEvent


def test_reading_waits_for_no_writer_and_sees_one_moment(engine: Engine) -> None:
    count = select(func.count()).select_from(AuditEvent)
    with transaction(engine) as writer:
        writer.execute(text("UPDATE account SET blind = blind"))  # holds SQLite's write lock
        with reading(engine) as session:
            assert session.scalar(count) == 0
    with reading(engine) as session:
        assert session.scalar(count) == 0
        with transaction(engine) as writer:
            audit.record(writer, actor="a", action="b", subject="c")
        assert session.scalar(count) == 0
    with reading(engine) as session:
        assert session.scalar(count) == 1


def test_reading_cannot_write_and_leaves_no_trace_of_that(engine: Engine) -> None:
    with pytest.raises((DBAPIError, ServiceUnavailable)), reading(engine) as session:
        session.execute(text("DELETE FROM account"))
    with transaction(engine) as session:  # likely on the same connection
        session.execute(text("DELETE FROM account"))


def test_what_a_single_statement_writes_stays_and_transactions_stay_whole(engine: Engine) -> None:
    added, count = insert(Account), select(func.count()).select_from(Account)
    with suppress(ZeroDivisionError), single(engine) as session:
        session.execute(added, {"name": "ada", "role": "reviewer"})
        if engine.dialect.name == "postgresql":
            with reading(engine) as other:
                assert other.scalar(count) == 1  # no commit was needed
            raise ZeroDivisionError
    with suppress(ZeroDivisionError), transaction(engine) as session:  # likely on the same connection
        session.execute(added, {"name": "eve", "role": "reviewer"})
        raise ZeroDivisionError
    with single(engine, reads=True) as session:
        assert session.scalar(count) == 1


def test_a_connection_that_died_while_it_was_idle_is_replaced(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no server")
    monkeypatch.setattr(module, "PING_IDLE_SECONDS", 0.0)
    own = select(func.pg_backend_pid())
    with transaction(engine) as session:
        before = session.scalar(own)
    other = connect(engine.url.render_as_string(hide_password=False))
    with transaction(other) as session:
        session.execute(select(func.pg_terminate_backend(before, 60_000)))
    with transaction(engine) as session:
        assert session.scalar(own) != before
    other.dispose()


def test_a_connection_that_was_just_used_costs_no_ping(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pings: list[object] = []
    monkeypatch.setattr(engine.dialect, "do_ping", pings.append)
    monkeypatch.setattr(module, "PING_IDLE_SECONDS", 3600.0)
    for _ in range(3):
        with transaction(engine) as session:
            session.execute(text("SELECT 1"))
    assert pings == []


def test_no_connection_left_is_the_databases_absence(engine: Engine) -> None:
    small = create_engine(engine.url, pool_size=1, max_overflow=0, pool_timeout=0.01)
    with reading(small) as session:
        session.execute(text("SELECT 1"))
        with pytest.raises(ServiceUnavailable, match="FACEWARDEN_DATABASE_URL"), reading(small) as second:
            second.execute(text("SELECT 1"))
    small.dispose()
