"""A database is migrated while processes of the release before still work on it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, inspect, select, text

from core.errors import SchemaTooNew
from storage import migrate
from storage.engine import reading, transaction
from storage.migrate import is_current, require, upgrade
from storage.tables import Base, FlaggedFrame, SchemaContract, Screening
from tests.integration.storage.test_migrations import migrate_to

# What a release of revision 0012 says to its database while it registers, screens and explains (recorded; see
# CONTRIBUTING.md). Replayed in order from an empty database, ids included.
RECORDED = Path(__file__).with_name("statements_0012.json")


def tell(engine: Engine, *, revision: str, oldest: str) -> None:
    """As if a newer release had migrated it."""
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :new"), {"new": revision})
        connection.execute(text("UPDATE schema_contract SET oldest = :oldest"), {"oldest": oldest})


def test_the_release_before_goes_on_with_a_schema_that_was_only_expanded(engine: Engine) -> None:
    tell(engine, revision="9999", oldest=migrate._head())
    require(engine)
    upgrade(engine)  # as every ingest does when it starts
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"


def test_a_release_that_the_schema_no_longer_suits_refuses_to_start(engine: Engine) -> None:
    tell(engine, revision="9999", oldest="9998")
    for start in (require, is_current, upgrade):
        with pytest.raises(SchemaTooNew, match="knows revision 9998: install the newer release"):
            start(engine)


def test_the_statements_of_the_oldest_release_still_work(engine: Engine) -> None:
    with engine.connect() as connection:
        assert connection.scalar(select(SchemaContract.oldest)) == RECORDED.stem.removeprefix("statements_")
    recorded = json.loads(RECORDED.read_text())[engine.dialect.name]
    with engine.begin() as connection:
        for statement, parameters in recorded:
            connection.exec_driver_sql(statement, parsed(parameters))
    with reading(engine) as session:
        assert sorted(session.scalars(select(Screening.status))) == ["done", "failed", "queued"]
        assert session.scalars(select(FlaggedFrame.explain_status)).all() == ["done"]


def parsed(parameters: Any) -> Any:
    """As the driver wants them: JSON has no tuples."""
    return parameters if isinstance(parameters, Mapping) else tuple(parameters)


def test_no_revision_since_the_oldest_release_takes_anything_from_it(bare_engine: Engine) -> None:
    """Whatever it writes and reads is still there, and it need not know what is new."""
    oldest = RECORDED.stem.removeprefix("statements_")
    with bare_engine.begin() as connection:
        migrate_to(connection, oldest)
    before = columns(bare_engine)
    upgrade(bare_engine)
    after = columns(bare_engine)
    for table, known in before.items():
        assert table in after
        for name, column in known.items():
            assert name in after[table], f"{table}.{name} is gone"
            assert str(column["type"]) == str(after[table][name]["type"])
            assert column["nullable"] <= after[table][name]["nullable"], f"{table}.{name} must be given now"
        for name in after[table].keys() - known.keys():
            column = after[table][name]
            assert column["nullable"] or column["default"] is not None, f"{table}.{name} has no default"


def columns(engine: Engine) -> dict[str, dict[str, Any]]:
    looking = inspect(engine)
    tables = [each for each in looking.get_table_names() if each in Base.metadata.tables]
    return {each: {column["name"]: column for column in looking.get_columns(each)} for each in tables}


def test_the_contract_has_one_row(engine: Engine) -> None:
    with transaction(engine) as session:
        assert session.scalars(select(SchemaContract.id)).all() == [1]
