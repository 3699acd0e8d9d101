"""Bring a database to the schema of this release: Alembic, run from code, safe to run at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from storage.engine import named_failures

LOCK = 7_166_302  # any fixed number: PostgreSQL's advisory lock of Facewarden's migrations


def upgrade(engine: Engine) -> None:
    """Migrate to the newest revision. Processes that start together take turns.

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
    # SQLite needs no lock of ours: the transaction has begun with BEGIN IMMEDIATE.
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    yield
