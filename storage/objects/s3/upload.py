"""A stream of unknown content, and so of unknown key, on its way into a bucket."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from core.errors import ObjectStoreError
from storage.objects.s3.bucket import Bucket, Part
from storage.objects.store import key_of

log = structlog.get_logger()

MOST_PARTS = 10_000  # S3's limit


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Bytes held or moved at once."""

    part: int = 16 * 1024**2  # of an upload: 10,000 of these are 156 GiB
    copy: int = 256 * 1024**2  # by one request of a server that copies: it answers only once it is done


class S3Sink:
    """Holds one part in memory. What fits in it is put at once; more is uploaded in parts under another name
    and copied, within the server, to the name that its hash gives.
    """

    def __init__(self, bucket: Bucket, incoming: str, sizes: Sizes) -> None:
        self._bucket, self._incoming, self._sizes = bucket, incoming, sizes
        self._hash = hashlib.sha256()
        self._held = bytearray()
        self._size = 0
        self._upload: str | None = None
        self._parts: list[Part] = []
        self.key = self.sha256 = ""

    def write(self, piece: bytes) -> None:
        self._hash.update(piece)
        self._size += len(piece)
        self._held += piece
        while len(self._held) > self._sizes.part:
            self._send(self._sizes.part)

    def finish(self, place: Callable[[str, Callable[[], None]], None], name_of: Callable[[str], str]) -> None:
        """Have the content placed under its key; `place` may have it written more than once."""
        self.sha256 = self._hash.hexdigest()
        key = key_of(self.sha256)
        name = name_of(key)
        if self._upload is None:
            place(key, lambda: self._bucket.put(name, bytes(self._held)))
        else:
            self._send(len(self._held))
            self._bucket.complete(self._incoming, self._upload, self._parts)
            self._upload = None
            place(key, lambda: copy(self._bucket, self._incoming, name, self._size, self._sizes.copy))
            self.drop()
        self.key = key

    def drop(self) -> None:
        """Nothing stays of what has no key, or the sweep removes it later."""
        with left_to_the_sweep():
            if self._upload is not None:
                self._bucket.abort(self._incoming, self._upload)
            elif self._parts:
                self._bucket.remove(self._incoming)

    def _send(self, size: int) -> None:
        if self._upload is None:
            self._upload = self._bucket.begin(self._incoming)
        number = len(self._parts) + 1
        if number > MOST_PARTS:
            limit = MOST_PARTS * self._sizes.part
            raise ObjectStoreError(key=self._incoming, reason=f"more than {limit} bytes cannot be uploaded")
        part = bytes(memoryview(self._held)[:size])
        self._parts.append(self._bucket.put_part(self._incoming, self._upload, number, part))
        del self._held[:size]


def copy(bucket: Bucket, source: str, target: str, size_bytes: int, step: int) -> None:
    """Have the server copy an object, `step` bytes by each request."""
    if size_bytes <= step:
        bucket.copy(source, target)
        return
    upload = bucket.begin(target)
    try:
        parts = [
            bucket.copy_part(source, target, upload, number, start=start, end=min(start + step, size_bytes))
            for number, start in enumerate(range(0, size_bytes, step), 1)
        ]
        bucket.complete(target, upload, parts)
    except ObjectStoreError:
        with left_to_the_sweep():
            bucket.abort(target, upload)
        raise


@contextmanager
def left_to_the_sweep() -> Iterator[None]:
    """What cannot be cleaned up now is no reason to fail."""
    try:
        yield
    except ObjectStoreError as error:
        log.warning("left to the sweep", reason=str(error))
