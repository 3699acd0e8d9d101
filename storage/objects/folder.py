"""The object store in a folder, which many machines may share by a network file system."""

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from core.errors import FileVanished, ObjectStoreError
from storage.objects.store import (
    INCOMING,
    KEY,
    LEFT_BEHIND_SECONDS,
    Daily,
    StoredObject,
    checked,
    key_of,
    left_behind,
    made,
)

LOCK = ".lock"  # shared while storing, exclusive while removing


class FileSink:
    """Writes to a file; `key` and `sha256` are known once all of it is stored."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.key = self.sha256 = ""

    def write(self, piece: bytes) -> None:
        self._hash.update(piece)
        self._file.write(piece)

    def finish(self, suffix: str) -> None:
        self.sha256 = self._hash.hexdigest()
        self.key = key_of(self.sha256, suffix)


class FolderStore:
    """An object store in a folder. A name appears only once its content is complete and on disk."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put_bytes(self, content: bytes, suffix: str = "") -> str:
        """Store `content`; returns its key."""
        with self._stream(suffix) as sink:
            sink.write(content)
        return sink.key

    @contextmanager
    def write_stream(self) -> Iterator[FileSink]:
        """A sink whose content is stored at the end, or dropped by an exception."""
        with self._stream("") as sink:
            yield sink

    @contextmanager
    def _stream(self, suffix: str) -> Iterator[FileSink]:
        try:
            descriptor, name = tempfile.mkstemp(prefix=INCOMING, dir=self.spool())
        except OSError as error:
            raise ObjectStoreError(key=self._root, reason=error.strerror) from error
        partial = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                sink = FileSink(file)
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
        left = left_behind(self._root, time.time() - older_than_seconds)
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)

    def half_written(self, older_than: float) -> int:
        """How many partial files, last written before `older_than`, killed processes left behind."""
        return len(left_behind(self._root, older_than))

    def now(self) -> float:
        """The time by the file system's clock, which may be another machine's."""
        try:
            lock = made(self._root) / LOCK
            lock.touch()
            return lock.stat().st_mtime
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

    def read(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        try:
            with self.path(key).open("rb") as file:
                file.seek(start)
                return file.read(-1 if length is None else length)
        except FileNotFoundError as error:
            raise FileVanished(name=key) from error
        except OSError as error:
            raise ObjectStoreError(key=key, reason=error.strerror) from error

    def size(self, key: str) -> int:
        try:
            return self.path(key).stat().st_size
        except FileNotFoundError as error:
            raise FileVanished(name=key) from error
        except OSError as error:
            raise ObjectStoreError(key=key, reason=error.strerror) from error

    def exists(self, key: str) -> bool:
        return self.path(key).is_file()

    @contextmanager
    def local_path(self, key: str, *, heartbeat: Callable[[], None] = lambda: None) -> Iterator[Path]:
        """The object itself: nothing has to be fetched."""
        del heartbeat
        path = self.path(key)
        if not path.is_file():
            raise FileVanished(name=key)
        yield path

    def signed(self, key: str, *, media_type: str, disposition: str, seconds: int) -> None:
        """A folder has no address."""

    def where(self, key: str) -> str:
        return str(self.path(key))

    def path(self, key: str) -> Path:
        """The path of the file behind `key`. Raises ObjectStoreError for anything but a key."""
        return self._root / checked(key)

    def spool(self) -> Path:
        return made(self._root)

    def direct(self) -> None:
        """A folder has no address."""

    def probe(self) -> None:
        content = b"probe"
        try:
            with tempfile.NamedTemporaryFile(prefix=INCOMING, dir=self.spool()) as file:
                file.write(content)
                file.flush()
                read = Path(file.name).read_bytes()
        except OSError as error:
            raise ObjectStoreError(key=self._root, reason=error.strerror) from error
        if read != content:
            raise ObjectStoreError(key=self._root, reason="what was read is not what was written")

    def last_done(self, work: Daily) -> float:
        stamp = self._root / work
        try:
            if not stamp.exists():
                made(self._root)
                stamp.touch()
            return stamp.stat().st_mtime
        except OSError as error:
            raise ObjectStoreError(key=stamp, reason=error.strerror) from error

    @contextmanager
    def turn(self, work: Daily, due: Callable[[float], bool]) -> Iterator[bool]:
        self.last_done(work)
        with (self._root / work).open("r+") as stamp:
            try:  # whoever holds its lock does it
                fcntl.flock(stamp, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            mine = due(self.last_done(work))
            if mine:
                os.utime(self._root / work)  # first: what fails is done again tomorrow
            yield mine
