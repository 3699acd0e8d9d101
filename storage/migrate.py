"""Migrate a database to this release's schema with Alembic; safe for several processes to run at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from storage.engine import named_failures

LOCK = 7_166_302  # PostgreSQL's advisory lock for migrations; any fixed number will do


def upgrade(engine: Engine) -> None:
    """Migrate to the newest revision. Processes that start at the same time take turns.

    Raises ServiceUnavailable where the database does not answer.
    """
    with named_failures(engine), engine.begin() as connection, _turn(connection):
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def is_current(engine: Engine) -> bool:
    """Whether the database has the newest revision.

    Raises ServiceUnavailable where the database does not answer.
    """
    head = ScriptDirectory.from_config(_config()).get_current_head()
    with named_failures(engine), engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() == head


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def _turn(connection: Connection) -> Iterator[None]:
    # SQLite needs no extra lock: the transaction began with BEGIN IMMEDIATE.
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    yield
