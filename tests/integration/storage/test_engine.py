"""Transactions that only read."""

import pytest
from sqlalchemy import Engine, create_engine, func, select, text
from sqlalchemy.exc import DBAPIError

from core.errors import ServiceUnavailable
from storage import audit
from storage.engine import reading, transaction
from storage.tables import AuditEvent


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


def test_no_connection_left_is_the_databases_absence(engine: Engine) -> None:
    small = create_engine(engine.url, pool_size=1, max_overflow=0, pool_timeout=0.01)
    with reading(small) as session:
        session.execute(text("SELECT 1"))
        with pytest.raises(ServiceUnavailable, match="FACEWARDEN_DATABASE_URL"), reading(small) as second:
            second.execute(text("SELECT 1"))
    small.dispose()
