"""Many rows of one table, inserted at once."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import JSON, Insert, Integer, Table, bindparam, column, func, insert, inspect, select
from sqlalchemy.orm import Session

from storage.tables import Base

PLACE = "place"  # of a row among those inserted


def add(session: Session, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Insert the rows, which all name the same columns; returns their first primary keys, in their order.

    The columns are numbers, texts and JSON, and those left out have defaults in the database or none.

    PostgreSQL gets them as one value. As one for each column of each row, psycopg looks for all of them in
    the text of the statement each time, which takes longer than everything else that a screening stores.
    """
    if not rows:
        return []
    table = inspect(model).local_table
    assert isinstance(table, Table)  # noqa: S101  as every model's is
    (key, *_) = table.primary_key.columns
    if session.get_bind().dialect.name != "postgresql":
        inserted = insert(table).returning(key, sort_by_parameter_order=True)
        return list(session.scalars(inserted, list(map(dict, rows))))
    statement = _from_json(table, tuple(rows[0]))
    placed = [{**row, PLACE: place} for place, row in enumerate(rows)]
    return sorted(session.scalars(statement, {"given": placed}))  # numbered in the order of their places


@lru_cache(maxsize=32)
def _from_json(table: Table, names: tuple[str, ...]) -> Insert:
    given = (
        func.json_to_recordset(bindparam("given", type_=JSON))
        .table_valued(*(column(name, table.c[name].type) for name in names), column(PLACE, Integer))
        .render_derived(name="given", with_types=True)
    )
    chosen = select(*(given.c[name] for name in names)).order_by(given.c[PLACE])
    (key, *_) = table.primary_key.columns
    return insert(table).from_select(names, chosen, include_defaults=False).returning(key)
