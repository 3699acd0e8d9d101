"""The tables as they are declared."""

from sqlalchemy import Table, UniqueConstraint

from storage.tables import Base

NEVER_DELETED = {"account", "model_version"}


def first_columns(table: Table) -> set[str]:
    """By which rows are found without a look at all of them."""
    whole = [each for each in table.indexes if each.dialect_options["postgresql"]["where"] is None]
    unique = [each for each in table.constraints if isinstance(each, UniqueConstraint)]
    return {next(iter(each.columns)).name for each in (table.primary_key, *whole, *unique)}


def test_deleting_a_row_scans_no_table_that_refers_to_it() -> None:
    unindexed = [
        f"{table.name}.{key.parent.name}"
        for table in Base.metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table.name not in NEVER_DELETED and key.parent.name not in first_columns(table)
    ]
    assert unindexed == []
