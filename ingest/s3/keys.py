"""Objects of a bucket, taken in one by one: read once, hashed on the way into the object store, not changed.

An entity tag says whether an object is still the one that was seen. It is no hash of the content: that of an
upload in parts, or of an encrypted object, is something else.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import structlog

from core import gate
from core.errors import (
    BucketRefused,
    Conflict,
    EmptyFile,
    FacewardenError,
    InputError,
    MediaTooLarge,
    Unreadable,
)
from core.media_signatures import HEAD_BYTES
from core.priorities import Priority
from core.s3_address import S3Address
from core.settings import Settings
from ingest.registration import Intake, Receipt, Registrar, Stored
from ingest.s3.names import is_wanted, key_name, source_of
from storage import videos
from storage.engine import reading
from storage.objects.s3.bucket import QUOTE, Bucket, Entry
from storage.objects.store import ObjectStore
from storage.videos import Seen, Sighted

log = structlog.get_logger()

FETCH_BYTES = 4 * 1024**2  # of one ranged request; each object that is being read holds a few of these


@dataclass(frozen=True, kw_only=True)
class Sorted:
    """Objects by what is to be done."""

    wanted: list[Entry]  # not taken in yet, as they are now
    known: list[Sighted]
    left_alone: int  # by their names


class Keys:
    """The objects of one place; threads may share it."""

    def __init__(
        self,
        settings: Settings,
        address: S3Address,
        registrar: Registrar,
        objects: ObjectStore,
        bucket: Bucket,
    ) -> None:
        self.bucket, self._address = bucket, address
        # Without the prefix: what was seen by one listing need not be read again by that of another prefix.
        self.source = source_of(bucket.name)
        self._left_alone = settings.ingest.left_alone_names
        self._max_bytes = settings.ingest.max_file_bytes
        self._registrar, self._objects = registrar, objects

    def sort(self, entries: Sequence[Entry]) -> Sorted:
        """One query, however many objects have been seen. Raises RetryableError if the database is down."""
        fit = [entry for entry in entries if is_wanted(entry.name, self._address, self._left_alone)]
        with reading(self._registrar.engine) as session:
            rows = videos.sighted(session, self.source, [key_name(entry.name) for entry in fit])
        # What could not be read may be readable by now.
        seen = {row.seen: row for row in rows if row.error_code != Unreadable.code}
        wanted, known = [], []
        for entry in fit:
            row = seen.get(self.seen(entry))
            if row is None:
                wanted.append(entry)
            else:
                known.append(row)
        return Sorted(wanted=wanted, known=known, left_alone=len(entries) - len(fit))

    def take(self, entry: Entry, priority: Priority) -> Receipt:
        """Read an object and register it; what is wrong with it is noted, and in the receipt.

        Raises RetryableError if a service is down: try again.
        """
        seen = self.seen(entry)
        try:
            stored = self._stored(entry, seen.name)
            return self._registrar.register_stored(seen, stored, priority=priority)
        except Conflict:
            return Receipt(name=seen.name, intake=Intake.UNSETTLED)
        except InputError as error:
            return self._registrar.refuse(seen, error)
        except FacewardenError:
            raise  # the database, the store or the weights: no object can be taken now
        except Exception:  # whatever it is, it must not keep the others out
            log.exception("object not taken", name=seen.name)
            return Receipt(name=seen.name, intake=Intake.UNSETTLED)

    def seen(self, entry: Entry) -> Seen:
        """The tag in place of a file's time."""
        digest = hashlib.sha256((entry.etag.strip(QUOTE) or str(entry.modified)).encode())
        return Seen(
            source=self.source,
            name=key_name(entry.name),
            size_bytes=entry.size_bytes,
            mtime_ns=int(digest.hexdigest()[:15], 16),
        )

    def _stored(self, entry: Entry, name: str) -> Stored:
        if not entry.size_bytes:
            raise EmptyFile(name=name)
        if entry.size_bytes > self._max_bytes:
            raise MediaTooLarge(
                name=name,
                quantity="the size in bytes",
                value=entry.size_bytes,
                limit=self._max_bytes,
                setting="FACEWARDEN_INGEST__MAX_FILE_BYTES",
            )
        head = b""
        with self._objects.write_stream() as sink:
            for piece in self._pieces(entry, name):
                if not head:
                    head = piece[:HEAD_BYTES]
                    gate.sniff(head, name)  # before the rest of something else is fetched
                sink.write(piece)
        return Stored(sha256=sink.sha256, key=sink.key, head=head)

    def _pieces(self, entry: Entry, name: str) -> Iterator[bytes]:
        start = 0
        while start < entry.size_bytes:
            try:
                piece = self.bucket.read(entry.name, start=start, length=FETCH_BYTES, etag=entry.etag)
            except BucketRefused as error:
                # Of this object alone: it is archived, or its own policy forbids it. The others go on.
                raise Unreadable(name=name, reason=error.fields["reason"]) from error
            if not piece:
                raise Conflict(what="Object", key=entry.name, reason="it became shorter meanwhile")
            yield piece
            start += len(piece)
