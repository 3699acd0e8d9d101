"""Round trips of this process to the database and to Redis, counted where they are sent."""

from dataclasses import dataclass
from functools import wraps
from typing import Any

from redis.connection import AbstractConnection
from sqlalchemy import Engine, event


@dataclass(kw_only=True)
class Trips:
    """What was sent, since `count` was called."""

    statements: int = 0
    commits: int = 0  # rollbacks too
    begins: int = 0  # psycopg sends a BEGIN of its own, unless each statement is a transaction of its own;
    # on SQLite it is one of the statements
    pings: int = 0  # of connections taken from the pool
    redis: int = 0  # writes to its socket: a pipeline is one

    @property
    def sql(self) -> int:
        return self.statements + self.commits + self.begins + self.pings


def count(engine: Engine) -> Trips:
    """Count from now on, whatever this process's threads send."""
    trips = Trips()

    def counting(name: str) -> Any:
        def one_more(connection: Any, *_: Any) -> None:
            if name == "statements" or not getattr(connection.connection, "autocommit", False):
                setattr(trips, name, getattr(trips, name) + 1)

        return one_more

    event.listen(engine, "before_cursor_execute", counting("statements"))
    event.listen(engine, "commit", counting("commits"))
    event.listen(engine, "rollback", counting("commits"))
    if engine.dialect.name == "postgresql":
        event.listen(engine, "begin", counting("begins"))
        _count_pings(engine, trips)
    send: Any = AbstractConnection.send_packed_command

    @wraps(send)
    def counted(*arguments: Any, **options: Any) -> Any:
        trips.redis += 1
        return send(*arguments, **options)

    AbstractConnection.send_packed_command = counted  # type: ignore[method-assign]
    return trips


def _count_pings(engine: Engine, trips: Trips) -> None:
    ping = engine.dialect.do_ping

    def counted(connection: Any) -> bool:
        trips.pings += 1
        return ping(connection)

    engine.dialect.do_ping = counted  # type: ignore[method-assign, assignment]
