"""The object store in a bucket of S3 or of a server that speaks like it.

S3 has no locks, so storing and removing (`S3Store.discard`) agree by marks. Who removes an object marks it,
looks at its age, removes it, and removes the mark. Who stores one that was there before looks for a mark
afterwards, waits until it is gone, and stores once more if the object went with it. A server must show each
write to whoever reads after it, as S3 has done since 2020.
"""

import hashlib
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from core.errors import BucketRefused, FileVanished, ObjectDamaged, ObjectStoreError
from storage.objects.s3.bucket import Bucket, Entry
from storage.objects.s3.direct import S3DirectUploads
from storage.objects.s3.upload import S3Sink, Sizes
from storage.objects.scratch import Scratch
from storage.objects.store import (
    INCOMING,
    KEY,
    LEFT_BEHIND_SECONDS,
    Daily,
    StoredObject,
    checked,
    key_of,
    sha256_of,
)

REMOVING = ".removing-"  # begins the name of a mark
# A mark that is older was left by a process that was killed. Longer than the two requests between mark and
# removal can take with all their attempts, at the highest settings.
MARK_SECONDS = 3600.0
PAUSE_SECONDS = 0.2
FETCH_BYTES = 8 * 1024**2  # of one ranged request


class S3Store:
    """An object store below a prefix, which belongs to one installation."""

    def __init__(
        self,
        bucket: Bucket,
        prefix: str,
        scratch: Scratch,
        sizes: Sizes = Sizes(),  # noqa: B008  frozen
        *,
        signs: bool = False,
    ) -> None:
        """`signs` is whether anybody is given signed addresses of objects."""
        self._bucket, self._prefix, self._scratch, self._sizes = bucket, prefix, scratch, sizes
        self._signs = signs

    def put_bytes(self, content: bytes, suffix: str = "") -> str:
        key = key_of(hashlib.sha256(content).hexdigest(), suffix)
        self._place(key, lambda: self._bucket.put(self._name(key), content))
        return key

    @contextmanager
    def write_stream(self) -> Iterator[S3Sink]:
        sink = S3Sink(self._bucket, f"{self._prefix}{INCOMING}{uuid.uuid4().hex}", self._sizes)
        try:
            yield sink
            sink.finish(self._place, self._name)
        except BaseException:
            sink.drop()
            raise

    def _place(self, key: str, write: Callable[[], None]) -> None:
        existed = self._bucket.head(self._name(key)) is not None
        write()
        # What was not there cannot have been old enough for anybody to remove it meanwhile.
        if not existed:
            return
        while self._is_marked(key):
            time.sleep(PAUSE_SECONDS)
        if self._bucket.head(self._name(key)) is None:
            write()

    def read(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        """Raises FileVanished, and ObjectDamaged where the whole content is not the key's."""
        try:
            content = self._bucket.read(self._name(key), start=start, length=length)
        except FileVanished:
            raise FileVanished(name=key) from None
        if not start and length is None and hashlib.sha256(content).hexdigest() != sha256_of(key):
            raise ObjectDamaged(name=key)
        return content

    def size(self, key: str) -> int:
        found = self._found(key)
        if found is None:
            raise FileVanished(name=key)
        return found.size_bytes

    def exists(self, key: str) -> bool:
        return self._found(key) is not None

    def _found(self, key: str) -> Entry | None:
        found = self._bucket.head(self._name(key))
        if found is None:
            self._bucket.now()  # raises where the whole bucket is missing
        return found

    def local_path(
        self, key: str, *, heartbeat: Callable[[], None] = lambda: None
    ) -> AbstractContextManager[Path]:
        """The content in the scratch folder, fetched unless it is still there. Raises ScratchFull."""
        return self._scratch.file(key, self.size(key), self._pieces(key, heartbeat))

    def _pieces(self, key: str, heartbeat: Callable[[], None]) -> Iterator[bytes]:
        start = 0
        while piece := self._bucket.read(self._name(key), start=start, length=FETCH_BYTES):
            yield piece
            heartbeat()
            start += len(piece)

    def signed(self, key: str, *, media_type: str, disposition: str, seconds: int) -> str | None:
        if not self._signs:
            return None
        return self._bucket.signed(
            self._name(key), media_type=media_type, disposition=disposition, seconds=seconds
        )

    def where(self, key: str) -> str:
        return f"s3://{self._bucket.name}/{self._name(key)}"

    def spool(self) -> Path:
        return self._scratch.folder()

    def direct(self) -> S3DirectUploads:
        return S3DirectUploads(self._bucket, self._prefix, self._place, self._sizes)

    def now(self) -> float:
        return self._bucket.now()

    def probe(self) -> None:
        name = f"{self._prefix}{INCOMING}{uuid.uuid4().hex}"
        content = name.encode()
        self._bucket.put(name, content)
        read = self._bucket.read(name)
        self._bucket.remove(name)
        if read != content:
            raise ObjectStoreError(key=name, reason="what was read is not what was written")
        if self._bucket.head(name) is not None:
            raise ObjectStoreError(key=name, reason="it is still there after it was removed")

    def stored(self) -> Iterator[StoredObject]:
        for entry in self._bucket.listed(self._prefix):
            key = entry.name.removeprefix(self._prefix)
            if KEY.fullmatch(key):
                yield StoredObject(key=key, size_bytes=entry.size_bytes, modified=entry.modified)

    def discard(self, key: str, *, older_than: float) -> int | None:
        began = time.monotonic()
        mark = self._mark(key)
        self._bucket.put(mark, b"")
        try:
            found = self._bucket.head(self._name(key))
            if found is None or found.modified >= older_than:
                return None
            if time.monotonic() - began > MARK_SECONDS / 2:
                return None  # by the time it were removed, the mark might count as left behind
            self._bucket.remove(self._name(key))
            return found.size_bytes
        finally:
            self._bucket.remove(mark)

    def _mark(self, key: str) -> str:
        return f"{self._prefix}{REMOVING}{checked(key).replace('/', '-')}"

    def _is_marked(self, key: str) -> bool:
        mark = self._bucket.head(self._mark(key))
        return mark is not None and mark.asked - mark.modified < MARK_SECONDS

    def half_written(self, older_than: float) -> int:
        uploads, objects = self._left_behind(older_than)
        return len(uploads) + len(objects) + len(self._scratch.left_behind(older_than))

    def sweep(self, older_than_seconds: float = LEFT_BEHIND_SECONDS) -> int:
        """Marks go too, and what uploads left in the folder where they are received."""
        older_than = self.now() - older_than_seconds
        uploads, objects = self._left_behind(older_than)
        for name, upload in uploads:
            self._bucket.abort(name, upload)
        for name in [*objects, *self._old(REMOVING, older_than)]:
            self._bucket.remove(name)
        local = self._scratch.left_behind(older_than)
        for path in local:
            path.unlink(missing_ok=True)
        return len(uploads) + len(objects) + len(local)

    def _left_behind(self, older_than: float) -> tuple[list[tuple[str, str]], list[str]]:
        """Uploads in parts that did not end, and objects that did not get their key."""
        uploads = [
            (name, upload)
            for name, upload, began in self._bucket.uploads(self._prefix)
            if began < older_than and self._is_ours(name.removeprefix(self._prefix))
        ]
        return uploads, self._old(INCOMING, older_than)

    def _is_ours(self, name: str) -> bool:
        return name.startswith(INCOMING) or KEY.fullmatch(name) is not None

    def _old(self, beginning: str, older_than: float) -> list[str]:
        found = self._bucket.listed(f"{self._prefix}{beginning}")
        return [entry.name for entry in found if entry.modified < older_than]

    def last_done(self, work: Daily) -> float:
        return self._stamp(work).modified

    @contextmanager
    def turn(self, work: Daily, due: Callable[[float], bool]) -> Iterator[bool]:
        stamp = self._stamp(work)
        # The first to replace the stamp does it. Where a server ignores the condition two may, which does no
        # harm. Replaced first: what fails is done again tomorrow.
        yield due(stamp.modified) and self._bucket.replace(stamp.name, uuid.uuid4().bytes, etag=stamp.etag)

    def _stamp(self, work: Daily) -> Entry:
        name = f"{self._prefix}{work}"
        found = self._bucket.head(name)
        if found is None:
            self._bucket.put(name, uuid.uuid4().bytes)
            found = self._bucket.head(name)
        if found is None:
            raise BucketRefused(
                bucket=self._bucket.name,
                endpoint=self._bucket.endpoint,
                operation="writing",
                key=name,
                reason="it is not there after it was written",
            )
        return found

    def _name(self, key: str) -> str:
        return self._prefix + checked(key)
