"""The audit log's chain: whole under load, and whatever is done to it shows."""

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier

import pytest
from alembic import command
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import DatabaseError

from core.roles import Role
from storage import audit, migrate
from storage.engine import reading, transaction
from storage.migrate import upgrade
from storage.people import accounts
from storage.tables import AuditEvent, utc_now
from tests.waiting import PATIENCE_SECONDS


def record(engine: Engine, *subjects: str) -> None:
    with transaction(engine) as session:
        for subject in subjects:
            audit.record(session, actor="someone", action="test", subject=subject, score=0.1, pair=(1, 2))


def verify(engine: Engine, expected: str | None = None) -> audit.Verification:
    with reading(engine) as session:
        return audit.verify(session, expected=expected)


def tamper(engine: Engine, *statements: str) -> None:
    """As whoever owns the database can."""
    dialect = engine.dialect.name
    triggers = {
        "sqlite": ["DROP TRIGGER audit_event_no_update", "DROP TRIGGER audit_event_no_delete"],
        "postgresql": ["DROP TRIGGER audit_event_append_only ON audit_event"],
    }[dialect]
    with engine.begin() as connection:
        for statement in (*triggers, *statements):
            connection.execute(text(statement))


def test_an_empty_log_is_sound(engine: Engine) -> None:
    assert verify(engine) == audit.Verification(
        events=0, head=audit.FIRST, broken_at=None, expected_found=None
    )
    assert verify(engine, audit.FIRST).sound


def test_writers_at_once_make_one_chain(engine: Engine) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: record(engine, f"a{number}", f"b{number}"), range(24)))
    found = verify(engine)
    assert (found.sound, found.events) == (True, 48)
    with reading(engine) as session:
        subjects = session.scalars(select(AuditEvent.subject).order_by(AuditEvent.id)).all()
    # The events of one transaction stay together.
    assert [subject[1:] for subject in subjects[::2]] == [subject[1:] for subject in subjects[1::2]]


def test_whoever_waits_for_a_row_does_not_hold_the_log(engine: Engine) -> None:
    """One changes a row and then records, the other records and then wants the row: no deadlock."""
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    with transaction(engine) as session:
        made = accounts.add(session, name="a", role=Role.VIEWER, password_hash="h", actor="t")  # noqa: S106
    meeting = Barrier(2, timeout=PATIENCE_SECONDS)

    def row_first() -> None:
        with transaction(engine) as session:
            accounts.set_blind(session, made.id, blind=True, actor="row first")
            session.flush()
            meeting.wait()
            audit.record(session, actor="row first", action="test", subject="s")

    def log_first() -> None:
        with transaction(engine) as session:
            audit.record(session, actor="log first", action="test", subject="s")
            session.flush()
            meeting.wait()
            session.execute(text("UPDATE account SET blind = false"))

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(row_first), pool.submit(log_first)]:
            done.result(60)
    assert verify(engine).events == 4


def test_a_transaction_that_fails_leaves_no_event(engine: Engine) -> None:
    def fail() -> None:
        with transaction(engine) as session:
            audit.record(session, actor="a", action="b", subject="never")
            raise RuntimeError

    record(engine, "before")
    with pytest.raises(RuntimeError):
        fail()
    record(engine, "after")
    with reading(engine) as session:
        assert [event.subject for event in audit.page(session)] == ["after", "before"]
    assert verify(engine).sound


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_event SET actor = 'nobody' WHERE id = 3",
        "UPDATE audit_event SET at = '2020-01-01 00:00:00' WHERE id = 3",
        "UPDATE audit_event SET detail = '{}' WHERE id = 3",
        "DELETE FROM audit_event WHERE id = 2",
        "UPDATE audit_event SET id = 99 WHERE id = 3",
    ],
)
def test_a_change_inside_shows(engine: Engine, statement: str) -> None:
    record(engine, "one", "two", "three", "four")
    tamper(engine, statement)
    found = verify(engine)
    assert not found.sound
    assert found.broken_at in {3, 4}
    assert found.events < 4


def test_a_row_slipped_in_shows(engine: Engine) -> None:
    record(engine, "one")
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO audit_event (id, at, actor, action, subject, detail)"
                " VALUES (9, :at, 'a', 'b', 'c', '{}')"
            ),
            {"at": utc_now().isoformat()},
        )
    assert verify(engine).broken_at == 9


WORDS = {  # in the statements below
    "COLUMNS": "at, actor, action, subject, detail, previous_hash, hash",
    "FORGED": "'2020-01-01 00:00:00', 'nobody', 'b', 'c', '{}'",
}


def refused_by(engine: Engine, statement: str) -> None:
    """The database itself says no to a client that is not ours, and the log is as it was."""
    for word, meant in WORDS.items():
        statement = statement.replace(word, meant)
    record(engine, "one", "two", "three")
    before = verify(engine)
    if engine.dialect.name == "sqlite":
        with closing(sqlite3.connect(str(engine.url.database))) as stranger, stranger:
            assert stranger.execute("PRAGMA recursive_triggers").fetchone() == (0,)  # SQLite's default
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                stranger.execute(statement)
    else:
        with pytest.raises(DatabaseError, match="append-only"), engine.begin() as connection:
            connection.execute(text(statement))
    assert verify(engine, before.head) == audit.Verification(
        events=3, head=before.head, broken_at=None, expected_found=True
    )


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT OR REPLACE INTO audit_event (id, COLUMNS) VALUES (2, FORGED, 'x', 'y')",
        "REPLACE INTO audit_event (id, COLUMNS) VALUES ('2', FORGED, 'x', 'y')",
        "REPLACE INTO audit_event (id, COLUMNS) VALUES (2.0, FORGED, 'x', 'y')",
        "REPLACE INTO audit_event (_rowid_, COLUMNS) VALUES (2, FORGED, 'x', 'y')",
        # By the unique hash of the row before it, under another number or one that SQLite chooses.
        "REPLACE INTO audit_event (id, COLUMNS)"
        " SELECT 9, FORGED, previous_hash, 'y' FROM audit_event WHERE id = 1",
        "REPLACE INTO audit_event (COLUMNS) SELECT FORGED, previous_hash, 'y' FROM audit_event WHERE id = 3",
        "INSERT INTO audit_event (id, COLUMNS) VALUES (2, FORGED, 'x', 'y')"
        " ON CONFLICT (id) DO UPDATE SET actor = excluded.actor",
        "UPDATE OR REPLACE audit_event SET id = 1 WHERE id = 3",
        "DELETE FROM audit_event",
    ],
)
def test_nothing_replaces_a_row_on_sqlite(engine: Engine, statement: str) -> None:
    if engine.dialect.name == "postgresql":
        pytest.skip("SQLite's words")
    refused_by(engine, statement)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO audit_event (id, COLUMNS) VALUES (2, FORGED, 'x', 'y')"
        " ON CONFLICT (id) DO UPDATE SET actor = excluded.actor",
        "INSERT INTO audit_event SELECT * FROM audit_event"
        " ON CONFLICT (previous_hash) DO UPDATE SET hash = ''",
        "MERGE INTO audit_event USING (VALUES (2)) AS new (id) ON audit_event.id = new.id"
        " WHEN MATCHED THEN DELETE",
        "TRUNCATE audit_event",
        "TRUNCATE audit_event RESTART IDENTITY CASCADE",
        "DELETE FROM audit_event",
    ],
)
def test_nothing_replaces_a_row_on_postgresql(engine: Engine, statement: str) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("PostgreSQL's words")
    refused_by(engine, statement)


def test_a_cut_end_shows_to_whoever_kept_the_head(engine: Engine) -> None:
    record(engine, "one", "two")
    head = verify(engine).head
    record(engine, "three")
    assert verify(engine, head).sound  # the log has only grown
    tamper(engine, "DELETE FROM audit_event WHERE id > 1")
    assert verify(engine).sound  # nothing in the log itself can show it
    found = verify(engine, head)
    assert (found.broken_at, found.expected_found, found.sound) == (None, False, False)


def test_a_log_from_before_the_chain_is_chained(bare_engine: Engine) -> None:
    with bare_engine.begin() as connection:
        config = migrate._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        rows = [
            {"at": utc_now().isoformat(), "actor": f"ä{number}", "detail": json.dumps({"score": number / 7})}
            for number in range(2500)  # more than are chained at once
        ]
        connection.execute(
            text(
                "INSERT INTO audit_event (at, actor, action, subject, detail)"
                " VALUES (:at, :actor, 'old', 's', :detail)"
            ),
            rows,
        )
    upgrade(bare_engine)
    record(bare_engine, "new")
    found = verify(bare_engine)
    assert (found.sound, found.events) == (True, 2501)
    with pytest.raises(Exception, match="append-only"), bare_engine.begin() as connection:
        connection.execute(text("DELETE FROM audit_event"))


def test_pages_of_events(engine: Engine) -> None:
    record(engine, *(f"s{number}" for number in range(5)))
    with transaction(engine) as session:
        audit.record(session, actor="other", action="else", subject="x")
    with reading(engine) as session:
        assert [event.subject for event in audit.page(session, limit=2)] == ["x", "s4"]
        assert [event.subject for event in audit.page(session, before=5, limit=2)] == ["s3", "s2"]
        assert [event.subject for event in audit.page(session, actor="other")] == ["x"]
        assert len(audit.page(session, action="test")) == 5
