"""The object store: videos, flagged frames, crops and overlays, each stored under the hash of its content.

Content addressing makes every write idempotent: a job that runs twice stores nothing twice.
"""

import fcntl
import hashlib
import math
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from core.errors import FileVanished, ObjectStoreError

INCOMING = ".incoming-"  # a file being written; left behind if its process is killed
LEFT_BEHIND_SECONDS = 24 * 3600.0  # longer than any upload or copy takes
LOCK = ".lock"  # shared while storing, exclusive while removing
KEY = re.compile(r"[0-9a-f]{2}/[0-9a-f]{62}(\.[a-z0-9]{1,8})?")


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    key: str
    size_bytes: int
    modified: float  # when it was last stored, in seconds of the file system's clock


class Sink:
    """Takes content in pieces; `key` and `sha256` are known once all of it is stored."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.key = self.sha256 = ""

    def write(self, piece: bytes) -> None:
        self._hash.update(piece)
        self._file.write(piece)

    def finish(self, suffix: str) -> None:
        self.sha256 = self._hash.hexdigest()
        self.key = f"{self.sha256[:2]}/{self.sha256[2:]}{suffix}"


class FolderStore:
    """An object store in a folder. A name appears only once its content is complete and on disk.

    Keys look like `ab/cdef….jpg`: the SHA-256 and an optional suffix.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def put_bytes(self, content: bytes, suffix: str = "") -> str:
        """Store `content`; returns its key."""
        with self._stream(suffix) as sink:
            sink.write(content)
        return sink.key

    @contextmanager
    def write_stream(self) -> Iterator[Sink]:
        """A sink whose content is stored at the end, or dropped by an exception."""
        with self._stream("") as sink:
            yield sink

    @contextmanager
    def _stream(self, suffix: str) -> Iterator[Sink]:
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix=INCOMING, dir=self._root)
        except OSError as error:
            raise ObjectStoreError(key=self._root, reason=error.strerror) from error
        partial = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                sink = Sink(file)
                yield sink
                file.flush()
                os.fsync(file.fileno())
            sink.finish(suffix)
            target = self.path(sink.key)
            target.parent.mkdir(exist_ok=True)
            # Replaces an existing object too, which renews its age: see `discard`.
            with self._locked(fcntl.LOCK_SH):
                partial.replace(target)
        except OSError as error:
            raise ObjectStoreError(key=self._root, reason=error.strerror) from error
        finally:
            partial.unlink(missing_ok=True)

    def sweep(self, older_than_seconds: float = LEFT_BEHIND_SECONDS) -> int:
        """Delete partial files left behind by killed processes; returns how many there were."""
        left = self._left_behind(time.time() - older_than_seconds)
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)

    def half_written(self, older_than: float) -> int:
        """How many partial files, last written before `older_than`, killed processes left behind."""
        return len(self._left_behind(older_than))

    def _left_behind(self, older_than: float) -> list[Path]:
        return [path for path in self._root.glob(f"{INCOMING}*") if _modified(path) < older_than]

    def now(self) -> float:
        """The time by the file system's clock, which may be another machine's."""
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            (self._root / LOCK).touch()
            return (self._root / LOCK).stat().st_mtime
        except OSError as error:
            raise ObjectStoreError(key=self._root, reason=error.strerror) from error

    def stored(self) -> Iterator[StoredObject]:
        """All objects, folder by folder; other files are skipped."""
        for shard in sorted(self._root.glob("[0-9a-f][0-9a-f]")):
            try:
                entries = sorted(os.scandir(shard), key=lambda entry: entry.name)
            except OSError as error:
                raise ObjectStoreError(key=shard, reason=error.strerror) from error
            for entry in entries:
                key = f"{shard.name}/{entry.name}"
                if not KEY.fullmatch(key) or not entry.is_file(follow_symlinks=False):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                yield StoredObject(key=key, size_bytes=status.st_size, modified=status.st_mtime)

    def discard(self, key: str, *, older_than: float) -> int | None:
        """Remove an object last stored before `older_than`; its size in bytes, or None if it was kept.

        Nobody can store it between the check of its age and the removal: both sides hold the lock for that
        moment. Storing it just before renews its age; storing it just after creates it again.
        """
        path = self.path(key)
        try:
            with self._locked(fcntl.LOCK_EX):
                status = path.lstat()
                if status.st_mtime >= older_than:
                    return None
                path.unlink()
                return status.st_size
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ObjectStoreError(key=key, reason=error.strerror) from error

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        descriptor = os.open(self._root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            try:
                fcntl.flock(descriptor, how)
            except OSError:
                # A file system without locks: objects are still stored, but never removed.
                if how == fcntl.LOCK_EX:
                    raise
            yield
        finally:
            os.close(descriptor)

    def open(self, key: str) -> BinaryIO:
        """Raises FileVanished if there is no such object."""
        try:
            return self.path(key).open("rb")
        except FileNotFoundError as error:
            raise FileVanished(name=key) from error
        except OSError as error:
            raise ObjectStoreError(key=key, reason=error.strerror) from error

    def read(self, key: str) -> bytes:
        with self.open(key) as file:
            return file.read()

    @contextmanager
    def local_path(self, key: str) -> Iterator[Path]:
        path = self.path(key)
        if not path.is_file():
            raise FileVanished(name=key)
        yield path

    def exists(self, key: str) -> bool:
        return self.path(key).is_file()

    def path(self, key: str) -> Path:
        """The path of the file behind `key`. Raises ObjectStoreError for anything but a key."""
        # The pattern allows a dot only in the suffix: no key can escape the folder.
        if not KEY.fullmatch(key):
            raise ObjectStoreError(key=key, reason="that is no key of an object")
        return self._root / key


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # it was renamed into place meanwhile
        return math.inf
