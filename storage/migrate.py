"""Migrate a database to this release's schema with Alembic; safe for several processes to run at once.

Processes of the release before go on meanwhile: a revision expands the schema, and only a later one contracts
it, which then writes into `schema_contract` the oldest release that it leaves able to work (CONTRIBUTING.md).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, select, text

from core.errors import SchemaTooNew, ServiceUnavailable
from storage.engine import named_failures
from storage.tables import SchemaContract

LOCK = 7_166_302  # PostgreSQL's advisory lock for migrations; any fixed number will do


def upgrade(engine: Engine) -> None:
    """Migrate to the newest revision. Processes that start at the same time take turns.

    A database that a newer release has migrated stays as it is. Raises SchemaTooNew where this release can no
    longer work with that, ServiceUnavailable where the database does not answer.
    """
    with named_failures(engine), engine.begin() as connection, _turn(connection):
        if _is_newer(connection):
            return
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def is_current(engine: Engine) -> bool:
    """Whether this release can work with the database: it has the newest revision, or one of a newer release
    that only expanded the schema.

    Raises SchemaTooNew where a newer release has contracted it, ServiceUnavailable where nothing answers.
    """
    with named_failures(engine), engine.connect() as connection:
        return _revision(connection) == _head() or _is_newer(connection)


def require(engine: Engine) -> None:
    """Raises what `is_current` raises, and ServiceUnavailable where the database must be migrated first."""
    if not is_current(engine):
        raise ServiceUnavailable(
            service="The database",
            address=engine.url.render_as_string(hide_password=True),
            reason="its schema is older than this release; run `facewarden migrate`",
            setting="FACEWARDEN_DATABASE_URL",
        )


def _is_newer(connection: Connection) -> bool:
    """Whether a newer release has migrated the database. Raises SchemaTooNew."""
    found, known = _revision(connection), _head()
    if found is None or found <= known:
        return False
    oldest = connection.scalar(select(SchemaContract.oldest))
    if oldest is None or oldest > known:
        address = connection.engine.url.render_as_string(hide_password=True)
        raise SchemaTooNew(address=address, found=found, known=known, oldest=oldest or found)
    return True


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _head() -> str:
    """This release's newest revision; their names are numbers of four digits, which sort."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None  # noqa: S101  there are revisions
    return head


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
