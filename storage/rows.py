"""Rows without the mapper: many of one table, inserted at once."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Insert,
    Integer,
    LargeBinary,
    Table,
    TableValuedAlias,
    Text,
    bindparam,
    column,
    exists,
    func,
    insert,
    inspect,
    select,
)
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from storage.durability import Unhurried
from storage.tables import Base

PLACE = "place"  # of a row among those inserted


def table_of(model: type[Base]) -> Table:
    """For statements that run for each video: those of mapped classes take several times as long."""
    table = inspect(model).local_table
    assert isinstance(table, Table)  # noqa: S101  as every model's is
    return table


def last_of(value: Column[Any], *, where: Column[Any], equals: Column[Any]) -> Any:
    """For a RETURNING clause: the value in the last row of another table that belongs to the row returned.

    Null where no row's column `where` has the value of the returned column `equals`.
    """
    table = where.table
    (key, *_) = table.primary_key.columns
    # On SQLite, SQLAlchemy leaves all tables' names out of the clause: columns of one name must not meet.
    names = {"other_owner": where, "other_value": value, "other_key": key}
    other = select(*(each.label(name) for name, each in names.items())).subquery()
    last = select(other.c.other_value).where(other.c.other_owner == equals).correlate(equals.table)
    return last.order_by(other.c.other_key.desc()).limit(1).scalar_subquery()


def add(
    session: Session,
    model: type[Base],
    rows: Sequence[Mapping[str, Any]],
    *,
    first_of: str | None = None,
    unhurried: bool = False,
) -> list[int]:
    """Insert the rows, which all name the same columns; returns their first primary keys, in their order.

    The columns are numbers, texts, bytes and JSON, and those left out have defaults in the database or none.

    With `first_of`, the name of a column of which all rows have the same value, none is inserted where the
    table already has one with that value.

    `unhurried`: their transaction does not wait for the disk (storage.durability).

    PostgreSQL gets them as one value. As one for each column of each row, psycopg looks for all of them in
    the text of the statement each time, which takes longer than everything else that a screening stores.
    """
    if not rows:
        return []
    table = table_of(model)
    (key, *_) = table.primary_key.columns
    if session.get_bind().dialect.name != "postgresql":
        if first_of and session.scalar(select(key).where(table.c[first_of] == rows[0][first_of]).limit(1)):
            return []
        inserted = insert(table).returning(key, sort_by_parameter_order=True)
        return list(session.scalars(inserted, list(map(dict, rows))))
    statement = _from_json(table, tuple(rows[0]), first_of, unhurried)
    placed = [{**_as_json(row), PLACE: place} for place, row in enumerate(rows)]
    return sorted(session.scalars(statement, {"given": placed}))  # numbered in the order of their places


def _as_json(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in row.items()}


def recordset(name: str, types: Mapping[str, TypeEngine[Any]]) -> TableValuedAlias:
    """PostgreSQL's rows from the parameter of this name: a list of objects, each with its place."""
    columns = (column(each, type_) for each, type_ in types.items())
    return (
        func.json_to_recordset(bindparam(name, type_=JSON))
        .table_valued(*columns, column(PLACE, Integer))
        .render_derived(name=name, with_types=True)
    )


@lru_cache(maxsize=32)
def _from_json(table: Table, names: tuple[str, ...], first_of: str | None, unhurried: bool) -> Insert:
    packed = {name for name in names if isinstance(table.c[name].type, LargeBinary)}
    types = {name: Text() if name in packed else table.c[name].type for name in names}
    given = recordset("given", types)
    values = (func.decode(given.c[name], "hex") if name in packed else given.c[name] for name in names)
    chosen = select(*values).order_by(given.c[PLACE])
    if first_of:
        there = table.alias()
        chosen = chosen.where(~exists().where(there.c[first_of] == given.c[first_of]))
    if unhurried:
        chosen = chosen.where(Unhurried())
    (key, *_) = table.primary_key.columns
    return insert(table).from_select(names, chosen, include_defaults=False).returning(key)
