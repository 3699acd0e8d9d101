"""Uploads that clients send straight into the bucket, by signed addresses for their parts.

Nobody but the client vouches for what arrives: it is read and hashed before it gets its key.
"""

import hashlib
import uuid
from collections.abc import Callable

from core.errors import Conflict, FileVanished, InvalidValue
from storage.objects.s3.bucket import Bucket
from storage.objects.s3.upload import MOST_PARTS, Sizes, copy, left_to_the_sweep
from storage.objects.store import INCOMING, DirectUpload, key_of

READ_BYTES = 8 * 1024**2  # of one ranged request
# Of a part, unless the file is so large that there would be too many. S3 takes none below 5 MiB but the last.
PART_BYTES = 64 * 1024**2

Place = Callable[[str, Callable[[], None]], None]  # S3Store's


class S3DirectUploads:
    """Below the prefix of one store."""

    def __init__(self, bucket: Bucket, prefix: str, place: Place, sizes: Sizes) -> None:
        self._bucket, self._prefix, self._place, self._sizes = bucket, prefix, place, sizes

    def begin(self, size_bytes: int) -> DirectUpload:
        # A name that the sweep knows: it also removes what nobody finishes.
        name = f"{self._prefix}{INCOMING}{uuid.uuid4().hex}"
        return DirectUpload(
            name=name,
            number=self._bucket.begin(name),
            size_bytes=size_bytes,
            part_bytes=max(PART_BYTES, -(-size_bytes // MOST_PARTS)),
        )

    def addresses(self, upload: DirectUpload, *, seconds: int) -> list[str]:
        return [
            self._bucket.signed_part(upload.name, upload.number, number, size_bytes=size, seconds=seconds)
            for number, size in enumerate(upload.sizes, 1)
        ]

    def finish(self, upload: DirectUpload, *, sha256: str, check: Callable[[bytes], None]) -> str:
        self._join(upload)
        found = self._hash(upload, check)
        if found != sha256:
            self.drop(upload)
            raise InvalidValue(
                field="sha256", reason=f"what arrived has {found}; it was dropped, send it again"
            )
        key = key_of(sha256)
        self._place(
            key,
            lambda: copy(self._bucket, upload.name, self._prefix + key, upload.size_bytes, self._sizes.copy),
        )
        return key

    def _join(self, upload: DirectUpload) -> None:
        parts = self._bucket.parts(upload.name, upload.number)
        if parts is None:
            whole = self._bucket.head(upload.name)  # joined before, if this is a repetition
            if whole is None:
                raise _broken(upload, "it has expired, or was dropped; begin again")
            return
        sizes = {part.number: size for part, size in parts}
        wanted = dict(enumerate(upload.sizes, 1))
        if sizes != wanted:
            wrong = sorted(
                number for number in wanted.keys() | sizes if sizes.get(number) != wanted.get(number)
            )
            listed = ", ".join(map(str, wrong[:10]))
            raise _broken(upload, f"parts are missing, or of another size than announced: {listed}")
        self._bucket.complete(upload.name, upload.number, [part for part, _ in parts])

    def _hash(self, upload: DirectUpload, check: Callable[[bytes], None]) -> str:
        digest, start = hashlib.sha256(), 0
        while piece := self._read(upload, start):
            if not start:
                check(piece)
            digest.update(piece)
            start += len(piece)
        return digest.hexdigest()

    def _read(self, upload: DirectUpload, start: int) -> bytes:
        try:
            return self._bucket.read(upload.name, start=start, length=READ_BYTES)
        except FileVanished:
            raise _broken(upload, "it was dropped meanwhile; begin again") from None

    def drop(self, upload: DirectUpload) -> None:
        with left_to_the_sweep():
            self._bucket.abort(upload.name, upload.number)
            self._bucket.remove(upload.name)


def _broken(upload: DirectUpload, reason: str) -> Conflict:
    return Conflict(what="The direct upload", key=upload.name.rpartition("-")[2], reason=reason)
