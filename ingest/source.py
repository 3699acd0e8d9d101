"""What the ingest process watches: a folder, or a bucket in S3."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from core.errors import Unreadable
from core.s3_address import S3Address
from core.settings import Settings
from ingest.bucket import BucketWatcher, bucket_files, text_name
from ingest.chores import Chore
from ingest.registration import Registrar
from storage import erasure, key_looks, source_cursors, videos
from storage.engine import reading
from storage.objects.store import ObjectStore

if TYPE_CHECKING:
    from ingest.s3.keys import Keys

# One look: takes in what is new, and comes back after each file and now and then between.
Look = Callable[[], Iterator[object]]


def watched(settings: Settings, registrar: Registrar, objects: ObjectStore) -> Look:
    """A source, for a process that begins to watch it. Raises RetryableError if the database is down."""
    if not isinstance(settings.bucket, S3Address):
        return _Folder(settings, registrar).look
    # Only who watches S3 waits for boto3 to load.
    from ingest.s3.listing import S3Watcher  # noqa: PLC0415

    keys = _keys(settings, settings.bucket, registrar, objects)
    return S3Watcher(settings, settings.bucket, keys, registrar.engine).look


def listeners(settings: Settings, registrar: Registrar, objects: ObjectStore) -> list[Chore]:
    """What every ingest process does with a bucket's events, besides one that lists it."""
    if not isinstance(settings.bucket, S3Address):
        return []
    from ingest.s3.looking import Looker  # noqa: PLC0415

    keys, engine = _keys(settings, settings.bucket, registrar, objects), registrar.engine
    chores = [Chore("looks at keys", Looker(keys, engine).run_once, settings.ingest.poll_seconds)]
    if settings.s3_source.queue_url is not None:
        from ingest.s3.event_queue import EventQueue  # noqa: PLC0415

        queue = EventQueue(settings, settings.bucket, engine, settings.s3_source.queue_url)
        chores.append(Chore("queue of events", queue.run_once, 0.0, stop_seconds=1.0))
    return chores


def _keys(settings: Settings, address: S3Address, registrar: Registrar, objects: ObjectStore) -> "Keys":
    from ingest.s3.keys import Keys  # noqa: PLC0415
    from storage.objects.s3.bucket import Bucket  # noqa: PLC0415

    return Keys(settings, address, registrar, objects, Bucket(address.bucket, settings.s3))


class _Folder:
    """Looks at a folder. Once content is erased or let in again, what is known of its files is read anew:
    the sightings of that content are gone."""

    def __init__(self, settings: Settings, registrar: Registrar) -> None:
        self._settings, self._registrar = settings, registrar
        self._watcher, self._changes = self._anew()

    def look(self) -> Iterator[object]:
        with reading(self._registrar.engine) as session:
            changed = erasure.changes(session) != self._changes
        if changed:
            self._watcher, self._changes = self._anew()
        yield from self._watcher.look(time.time_ns())

    def _anew(self) -> tuple[BucketWatcher, tuple[int, datetime | None]]:
        settings = self._settings
        with reading(self._registrar.engine) as session:
            changes = erasure.changes(session)
            known = list(videos.seen_in(session, BucketWatcher.source(settings), but=Unreadable.code))
        return BucketWatcher(settings, self._registrar, iter(known)), changes


def untaken(session: Session, settings: Settings, *, since: datetime | None = None) -> int:
    """How many files have not been taken in yet.

    Of a bucket in S3 that is not known before it has been listed: 1 until a listing that began after `since`
    has ended, and one more for each key that an event named.
    """
    if isinstance(settings.bucket, S3Address):
        cursor = source_cursors.find(session, source_cursors.watching(settings.bucket))
        listing = cursor is None or cursor.ended_at is None or (since is not None and cursor.began_at < since)
        return listing + key_looks.waiting(session, settings.bucket.bucket)
    return _untaken_files(session, settings, settings.bucket.resolve())


def _untaken_files(session: Session, settings: Settings, root: Path) -> int:
    known = videos.seen_in(session, BucketWatcher.source(settings))
    done = {(seen.name, seen.size_bytes, seen.mtime_ns) for seen in known}
    files = bucket_files(root, settings.ingest.left_alone_names)
    looks = ((text_name(inner), look) for inner, look in files)
    return sum((name, look.size_bytes, look.mtime_ns) not in done for name, look in looks)
