"""The object store: videos, flagged frames, crops and overlays, each stored under the hash of its content.

Content addressing makes every write idempotent: a job that runs twice stores nothing twice. Keys look like
`ab/cdef….jpg`: the SHA-256 and an optional suffix.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from core.errors import ObjectStoreError

INCOMING = ".incoming-"  # begins the name of what is being written; left behind if its process is killed
LEFT_BEHIND_SECONDS = 24 * 3600.0  # longer than any upload or copy takes
KEY = re.compile(r"[0-9a-f]{2}/[0-9a-f]{62}(\.[a-z0-9]{1,8})?")


class Daily(StrEnum):
    """What one process of all does once a day, by the name of a file whose age is the last time's."""

    SWEEP = ".swept"
    PURGE = ".purged"


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    key: str
    size_bytes: int
    modified: float  # when it was last stored, in seconds of the store's clock


class Sink(Protocol):
    """Takes content in pieces; `key` and `sha256` are known once all of it is stored."""

    key: str
    sha256: str

    def write(self, piece: bytes) -> None: ...


@dataclass(frozen=True, kw_only=True)
class DirectUpload:
    """An upload that a client sends to the store itself, in parts."""

    name: str  # in the store, until it has a key
    number: str  # by which the server knows it
    size_bytes: int  # of the whole
    part_bytes: int  # of each part but the last

    @property
    def sizes(self) -> list[int]:
        """Bytes of each part."""
        whole, rest = divmod(self.size_bytes, self.part_bytes)
        return [self.part_bytes] * whole + ([rest] if rest else [])


class DirectUploads(Protocol):
    """Of a store that clients can reach. Every method raises ObjectStoreError where the store fails."""

    def begin(self, size_bytes: int) -> DirectUpload: ...

    def addresses(self, upload: DirectUpload, *, seconds: int) -> list[str]:
        """Where to PUT each part, in order; they work for so long."""

    def finish(self, upload: DirectUpload, *, sha256: str, check: Callable[[bytes], None]) -> str:
        """Read what arrived, and store it under its key, which is returned; doing it twice does no harm.

        `check` is given the beginning and may raise. Raises Conflict where parts are missing or all are gone,
        and InvalidValue where the content has another hash.
        """

    def drop(self, upload: DirectUpload) -> None:
        """Remove what arrived; what has its key stays."""


class ObjectStore(Protocol):
    """What both kinds of store do. Every method raises ObjectStoreError where the store fails.

    An object is visible only once its content is complete and safe.
    """

    def put_bytes(self, content: bytes, suffix: str = "") -> str:
        """Store `content`; returns its key."""

    def write_stream(self) -> AbstractContextManager[Sink]:
        """A sink whose content is stored at the end, or dropped by an exception."""

    def read(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        """The content from byte `start` on, `length` bytes or all. Raises FileVanished."""

    def size(self, key: str) -> int:
        """In bytes. Raises FileVanished."""

    def exists(self, key: str) -> bool: ...

    def local_path(self, key: str, *, heartbeat: Callable[[], None] = ...) -> AbstractContextManager[Path]:
        """A file with the content, for as long as the block runs. Raises FileVanished.

        `heartbeat` is called while content is fetched and may raise to stop.
        """

    def signed(self, key: str, *, media_type: str, disposition: str, seconds: int) -> str | None:
        """An address from which whoever has it can load the object, with these headers, for so long.

        None where clients are not to load objects from the store.
        """

    def where(self, key: str) -> str:
        """Where people find the object: a path or an address."""

    def spool(self) -> Path:
        """The folder for what is received before it is stored. Files that begin with INCOMING are swept."""

    def direct(self) -> DirectUploads | None:
        """None where clients cannot reach the store."""

    def probe(self) -> None:
        """Write, read and remove something, as `facewarden doctor` does."""

    def now(self) -> float:
        """The time by the store's clock, which may be another machine's."""

    def stored(self) -> Iterator[StoredObject]:
        """All objects; whatever else is there is skipped."""

    def discard(self, key: str, *, older_than: float) -> int | None:
        """Remove an object last stored before `older_than`; its size in bytes, or None if it was kept.

        Storing it just before renews its age; storing it meanwhile or just after leaves it there.
        """

    def half_written(self, older_than: float) -> int:
        """How much, last written before `older_than`, killed processes left half written."""

    def sweep(self, older_than_seconds: float = LEFT_BEHIND_SECONDS) -> int:
        """Delete what killed processes left half written; returns how many there were."""

    def last_done(self, work: Daily) -> float:
        """When a process last began it; in a new store it counts as just done."""

    def turn(self, work: Daily, due: Callable[[float], bool]) -> AbstractContextManager[bool]:
        """Whether this process is the one to do it: `due` says so of `last_done`, and no other does."""


def made(folder: Path) -> Path:
    """`folder`, which exists now."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ObjectStoreError(key=folder, reason=error.strerror) from error
    return folder


def left_behind(folder: Path, older_than: float) -> list[Path]:
    """The files in which killed processes were writing, last written before `older_than`."""
    found = []
    for path in folder.glob(f"{INCOMING}*"):
        with suppress(FileNotFoundError):  # it was renamed into place meanwhile
            if path.stat().st_mtime < older_than:
                found.append(path)
    return found


def key_of(sha256: str, suffix: str = "") -> str:
    return f"{sha256[:2]}/{sha256[2:]}{suffix}"


def checked(key: str) -> str:
    """`key`, or ObjectStoreError for anything but a key."""
    # The pattern allows a dot only in the suffix: no key can escape the store's folder or prefix.
    if not KEY.fullmatch(key):
        raise ObjectStoreError(key=key, reason="that is no key of an object")
    return key


def sha256_of(key: str) -> str:
    """The hash that a key names."""
    return checked(key).replace("/", "").partition(".")[0]


def tag_of(key: str) -> str:
    """The entity tag of an object: its content never changes."""
    return f'"{sha256_of(key)}"'
