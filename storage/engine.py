"""Database connections: SQLite in WAL mode on one machine, PostgreSQL on many."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import (
    DatabaseError,
    InterfaceError,
    InvalidatePoolError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from core.errors import ServiceUnavailable, SettingsError

BUSY_TIMEOUT_SECONDS = 30  # SQLite has one writer at a time; others wait this long
WAL_RETRY_SECONDS = 0.02
PING_IDLE_SECONDS = 1.0  # no server goes away and comes back within less
USED = "facewarden_used"  # key in a pooled connection's info: time.monotonic() of its last use
READS = "facewarden_reads"  # execution option that marks a read-only transaction


def connect(url: str) -> Engine:
    """An engine for `url`. Create one per process; never share one across a fork."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return _with_idle_ones_pinged(create_engine(parsed, hide_parameters=True))
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    # Statement parameters may be password or token hashes: keep them out of tracebacks.
    # The URL may set another timeout (`?timeout=5`), in seconds, for each wait for another writer.
    patience = {} if "timeout" in parsed.query else {"timeout": BUSY_TIMEOUT_SECONDS}
    engine = create_engine(parsed, connect_args=patience, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _with_idle_ones_pinged(engine: Engine) -> Engine:
    """SQLAlchemy's `pool_pre_ping`, without its round trip for a connection that was just used."""

    def used(dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
        del dbapi_connection
        record.info[USED] = time.monotonic()

    def ping(dbapi_connection: Any, record: ConnectionPoolEntry, proxy: Any) -> None:
        del proxy
        if time.monotonic() - record.info[USED] < PING_IDLE_SECONDS:
            return
        try:
            engine.dialect.do_ping(dbapi_connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error  # it connects anew, and so do the others

    event.listen(engine, "connect", used)
    event.listen(engine, "checkin", used)
    event.listen(engine, "checkout", ping)
    return engine


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    """An engine for this long."""
    engine = connect(url)
    try:
        yield engine
    finally:
        engine.dispose()


def _prepare_sqlite(connection: Any, record: Any) -> None:
    del record
    connection.isolation_level = None  # this module begins transactions itself; see below
    cursor = connection.cursor()
    _use_wal(cursor)
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _use_wal(cursor: sqlite3.Cursor) -> None:
    # SQLite's busy timeout does not cover switching to WAL: while another process switches a new file, or
    # removes the log with its last connection, SQLite answers "database is locked" at once.
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(WAL_RETRY_SECONDS)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    reads = bool(connection.get_execution_options().get(READS))
    connection.exec_driver_sql(f"PRAGMA query_only={'ON' if reads else 'OFF'}")
    # A deferred transaction that reads first and writes later fails at once with "database is locked"
    # when another process wrote in between; taking the write lock first makes it wait instead.
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """One short transaction: committed at the end, rolled back by an exception.

    Raises ServiceUnavailable where the database does not answer, SettingsError where it is not migrated.
    """
    with named_failures(engine), Session(engine, expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A consistent snapshot of the database that neither waits for writers nor blocks them.

    A write is refused by the database. Raises what `transaction` raises.
    """
    options: dict[str, Any] = {READS: True}
    if engine.dialect.name == "postgresql":
        # All queries of a page see the same snapshot, as they do on SQLite.
        options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    reader = engine.execution_options(**options)
    with named_failures(engine), Session(reader, expire_on_commit=False) as session:
        yield session


@contextmanager
def single(engine: Engine, *, reads: bool = False) -> Iterator[Session]:
    """Statements each of which is a transaction of its own: beginning and ending it costs no round trip.

    For those that need nothing of each other, as a rule for one. On SQLite, where a transaction costs none,
    all are in one; it is `reading` if they only read. Raises what `transaction` raises.
    """
    if engine.dialect.name != "postgresql":
        with reading(engine) if reads else transaction(engine) as session:
            yield session
        return
    with named_failures(engine), Session(_alone(engine), expire_on_commit=False) as session:
        yield session


@lru_cache(maxsize=4)  # a process has one engine
def _alone(engine: Engine) -> Engine:
    return engine.execution_options(isolation_level="AUTOCOMMIT")


@contextmanager
def named_failures(engine: Engine) -> Iterator[None]:
    """Turn driver errors into errors that name the setting."""
    try:
        yield
    except (OperationalError, InterfaceError, ProgrammingError) as error:
        if _without_tables(error):
            reason = "the database has no tables of Facewarden yet; run `facewarden migrate`"
            raise SettingsError(setting="FACEWARDEN_DATABASE_URL", reason=reason) from error
        if isinstance(error, ProgrammingError):
            raise
        raise _unavailable(engine, error) from error
    except NoConnection as error:
        raise _unavailable(engine, error) from error


def _without_tables(error: DatabaseError | InterfaceError) -> bool:
    # SQLite raises an OperationalError; PostgreSQL gives the SQLSTATE of an undefined table.
    return "no such table" in str(error.orig) or getattr(error.orig, "sqlstate", "") == "42P01"


def _unavailable(engine: Engine, error: DatabaseError | InterfaceError | NoConnection) -> ServiceUnavailable:
    cause = str(getattr(error, "orig", None) or error) or type(error).__name__
    return ServiceUnavailable(
        service="The database",
        address=engine.url.render_as_string(hide_password=True),
        reason=cause.splitlines()[0],
        setting="FACEWARDEN_DATABASE_URL",
    )
