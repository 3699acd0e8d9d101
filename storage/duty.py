"""Work that one process of all does at a time: whichever comes first has it for as long as it lives.

PostgreSQL's advisory lock, on a connection of its own, and beside SQLite a locked file. Both end with the
process that holds them, killed or not, so that no clock decides and the next one need not wait.
"""

import fcntl
import hashlib
from contextlib import suppress
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from storage.engine import named_failures

# A machine that vanished says no good-bye: the server asks it after 10 s of silence, and lets go 15 s later.
ALIVE = "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3"


class Duty:
    """One such work, by its name. Behind a pooler of connections it must pool whole sessions."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        digest = hashlib.sha256(name.encode()).digest()
        self._number = int.from_bytes(digest[:8], signed=True)
        self._suffix = f"-{digest.hex()[:12]}.lock"
        self._connection: Connection | None = None
        self._file: IO[bytes] | None = None

    def mine(self) -> bool:
        """Whether this process has it, taken now if nobody has.

        Raises ServiceUnavailable where the database does not answer: it is then nobody's.
        """
        if self._engine.dialect.name == "sqlite":
            return self._has_file()
        try:
            with named_failures(self._engine):
                return self._has_lock()
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """Let another process have it."""
        if self._connection is not None:
            with suppress(DBAPIError):
                self._connection.close()
            self._connection = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def _has_lock(self) -> bool:
        if self._connection is not None:
            self._connection.execute(text("SELECT 1"))  # a lost connection has lost the lock
            return True
        connection = self._engine.execution_options(isolation_level="AUTOCOMMIT").connect()
        try:
            connection.detach()  # closed, not pooled: the lock is the session's
            for setting in ALIVE.split("; "):
                connection.execute(text(setting))
            taken = connection.scalar(text("SELECT pg_try_advisory_lock(:number)"), {"number": self._number})
        except BaseException:
            connection.close()
            raise
        if not taken:
            connection.close()
            return False
        self._connection = connection
        return True

    def _has_file(self) -> bool:
        if self._file is not None:
            return True
        database = self._engine.url.database
        if not database or database == ":memory:":
            return True
        file = Path(f"{database}{self._suffix}").open("ab")  # noqa: SIM115  open for as long as it is ours
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        return True
