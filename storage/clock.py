"""The database's clock, by which processes on several machines agree on what has expired."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, literal, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import FunctionElement

from storage.tables import Utc

DAY_SECONDS = 86_400


class Moment(FunctionElement[datetime]):
    """So many seconds after the statement runs; in a statement, so that asking costs no round trip."""

    type = Utc()
    inherit_cache = True
    name = "moment"

    def __init__(self, seconds: float | ColumnElement[float] = 0.0) -> None:
        super().__init__(seconds if isinstance(seconds, ColumnElement) else literal(float(seconds)))


@compiles(Moment, "sqlite")
def _on_sqlite(element: Moment, compiler: Any, **options: Any) -> str:
    # Six decimals, as SQLAlchemy stores them: moments are compared as text.
    seconds = compiler.process(element.clauses, **options)
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', {seconds} || ' seconds')"


@compiles(Moment, "postgresql")
def _on_postgresql(element: Moment, compiler: Any, **options: Any) -> str:
    # Not now(), which is when the transaction began.
    return f"(clock_timestamp() + make_interval(secs => {compiler.process(element.clauses, **options)}))"


def after(seconds: float, now: datetime | None = None) -> ColumnElement[datetime] | datetime:
    """So many seconds after `now`, or after the statement runs."""
    return Moment(seconds) if now is None else now + timedelta(seconds=seconds)


def database_now(session: Session) -> datetime:
    """The moment, also within a transaction that began earlier."""
    if session.get_bind().dialect.name == "sqlite":
        told = session.scalar(select(func.strftime("%Y-%m-%dT%H:%M:%f", "now")))
        return datetime.fromisoformat(str(told)).replace(tzinfo=UTC)
    moment = session.scalar(select(func.clock_timestamp()))
    assert isinstance(moment, datetime)  # noqa: S101  PostgreSQL's timestamptz
    return moment.astimezone(UTC)
