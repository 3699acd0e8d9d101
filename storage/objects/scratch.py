"""A folder on this machine's own disk into which workers fetch objects, shared by all of its processes.

It is a cache under a quota: a file stays until its place is needed, least recently used first. Files in use
are locked, and the kernel drops the lock of a process that dies: after a crash nothing has to be cleaned up.
"""

import errno
import fcntl
import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from core.errors import ObjectDamaged, ObjectStoreError, ScratchFull
from storage.objects.store import left_behind, made, sha256_of

FETCHING = "fetching-"  # begins the name of a file that is being fetched
LOCK = ".lock"  # held while places are given out
NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Scratch:
    def __init__(self, root: Path, quota_bytes: int) -> None:
        self._root, self._quota = root, quota_bytes

    def folder(self) -> Path:
        return made(self._root)

    @contextmanager
    def file(self, key: str, size_bytes: int, pieces: Iterator[bytes]) -> Iterator[Path]:
        """A file with the content of `key`, made of `pieces` unless it is still there; nobody removes it
        while the block runs.

        Raises ScratchFull where it does not fit, and ObjectDamaged where the content is not the key's.
        """
        path = self.folder() / sha256_of(key)
        descriptor = self._held(path, size_bytes)
        try:
            if descriptor is None:
                descriptor = self._fetched(path, key, size_bytes, pieces)
            yield path
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def left_behind(self, older_than: float) -> list[Path]:
        """What uploads that were killed left where they are received (`ObjectStore.spool`)."""
        return left_behind(self._root, older_than)

    def _held(self, path: Path, size_bytes: int) -> int | None:
        """A descriptor that keeps a fetched file in place; None where there is none."""
        try:
            with self._giving_out():
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                fcntl.flock(descriptor, fcntl.LOCK_SH)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ObjectStoreError(key=path, reason=error.strerror) from error
        if os.fstat(descriptor).st_size != size_bytes:  # somebody else wrote into it
            os.close(descriptor)
            path.unlink(missing_ok=True)
            return None
        os.utime(path)  # used now
        return descriptor

    def _fetched(self, path: Path, key: str, size_bytes: int, pieces: Iterator[bytes]) -> int:
        partial = self._root / f"{FETCHING}{uuid.uuid4().hex}"
        descriptor = None
        try:
            descriptor = self._place(partial, key, size_bytes)
            self._write(descriptor, key, size_bytes, pieces)
            with self._giving_out():
                # Two processes may have fetched it at once: the first one's file stays, as it is in use.
                if not path.exists():
                    partial.replace(path)
                else:
                    partial.unlink()
                    os.close(descriptor)
                    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                fcntl.flock(descriptor, fcntl.LOCK_SH)
        except BaseException as error:
            if descriptor is not None:
                os.close(descriptor)
            partial.unlink(missing_ok=True)
            if not isinstance(error, OSError):
                raise
            if error.errno in NO_SPACE:
                with self._giving_out():
                    self._evict(self._quota)  # the next attempt finds all the space that there is
                raise self._full(key, size_bytes, str(error.strerror)) from error
            raise ObjectStoreError(key=key, reason=error.strerror) from error
        return descriptor

    def _place(self, partial: Path, key: str, size_bytes: int) -> int:
        """A new file of the wanted size, so that other processes count it, locked."""
        with self._giving_out():
            left = self._evict(size_bytes)
            if left < size_bytes:
                reason = f"{max(left, 0)} bytes of {self._quota} are not in use"
                raise self._full(key, size_bytes, reason)
            descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.ftruncate(descriptor, size_bytes)
        return descriptor

    def _write(self, descriptor: int, key: str, size_bytes: int, pieces: Iterator[bytes]) -> None:
        digest, size = hashlib.sha256(), 0
        with os.fdopen(os.dup(descriptor), "wb") as file:
            for piece in pieces:
                size += len(piece)
                if size > size_bytes:
                    break
                digest.update(piece)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        if size != size_bytes or digest.hexdigest() != sha256_of(key):
            raise ObjectDamaged(name=key)

    def _evict(self, wanted: int) -> int:
        """Remove files that nobody uses until `wanted` bytes of the quota are free; how many are."""
        files = sorted(self._files(), key=lambda each: each[1].st_mtime)
        free = self._quota - sum(status.st_size for _, status in files)
        for path, status in files:
            if free >= wanted:
                break
            if _removed(path):
                free += status.st_size
        return free

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        for path in self._root.iterdir():
            if not path.name.startswith("."):
                with suppress(FileNotFoundError):
                    yield path, path.stat()

    def _full(self, key: str, size_bytes: int, reason: str) -> ScratchFull:
        return ScratchFull(key=key, size=size_bytes, folder=self._root, reason=reason)

    @contextmanager
    def _giving_out(self) -> Iterator[None]:
        descriptor = os.open(self._root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _removed(path: Path) -> bool:
    """False where a process uses it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)
