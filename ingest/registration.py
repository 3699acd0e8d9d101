"""Taking one file in: look, hash while storing, commit to SQL, then enqueue.

SQL comes first. If Redis is down the commit stands, and the reconciler enqueues later.
"""

import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

import structlog
from redis import Redis
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core import gate, metrics, queues, traces
from core.errors import ContentErased, InputError, ServiceUnavailable
from core.media_signatures import HEAD_BYTES
from core.model_version import ModelVersion, read_model_version, stored_values
from core.outcomes import MediaKind
from core.priorities import Priority
from core.settings import Settings
from storage import audit, erasure, model_versions, screenings, videos
from storage.engine import transaction
from storage.leases import Ticket
from storage.objects.store import ObjectStore
from storage.videos import Seen

log = structlog.get_logger()

SPAN = "take in"  # of core.traces, where the trace of a video begins
REDIS_PAUSE_SECONDS = 10.0  # without trying to enqueue, once Redis was down: the reconciler does it all later


class Intake(StrEnum):
    """What happened to a file."""

    QUEUED = "queued"  # new content: a screening is on its way
    KNOWN = "known"  # content seen before: a second sighting of one video
    FAILED = "failed"  # content that is no media: stored with its reason
    REFUSED = "refused"  # no content was taken at all
    UNSETTLED = "unsettled"  # it changed while it was read: try again later


@dataclass(frozen=True, kw_only=True)
class Receipt:
    name: str
    intake: Intake
    sha256: str | None = None
    error: InputError | None = None
    video_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Content that is in the object store already."""

    sha256: str
    key: str
    head: bytes  # its first HEAD_BYTES


# Writes more in the transaction that registers a video: its id, and what happened to the file.
Also = Callable[[Session, int, Intake], None]


@dataclass(frozen=True, kw_only=True)
class _Content:
    sha256: str
    key: str  # in the object store
    kind: MediaKind
    error: InputError | None  # why no worker needs to see it


@dataclass(frozen=True, kw_only=True)
class _Committed:
    video_id: int
    intake: Intake
    ticket: Ticket | None  # to enqueue


class _Changed(Exception):
    """The file is still being written."""


class Registrar:
    """Registers files of one source after another."""

    def __init__(self, settings: Settings, engine: Engine, objects: ObjectStore) -> None:
        self._settings, self.engine, self._objects = settings, engine, objects
        self._redis: Redis | None = None
        self._redis_away_until = 0.0  # time.monotonic()

    def register(
        self,
        path: Path,
        *,
        name: str,
        source: str,
        root: Path | None = None,
        priority: Priority = Priority.NORMAL,
    ) -> Receipt:
        """Take the file at `path` in as `name`; below `root` (else its folder) no link is followed.

        Content that waits already with a lower priority goes on with this one.

        Raises RetryableError if the database or the object store is down: nothing is lost, try again.
        """
        with traces.span(SPAN):
            try:
                receipt = self._take(path, root or path.parent, name, source, priority)
            except _Changed:
                receipt = Receipt(name=name, intake=Intake.UNSETTLED)
            except InputError as error:
                return self.refuse(_seen_at(path, name, source), error)
            return _told(receipt)

    def register_stored(
        self, seen: Seen, content: Stored, *, priority: Priority = Priority.NORMAL, also: Also | None = None
    ) -> Receipt:
        """Take in what was received straight into the object store.

        Raises RetryableError if the database is down: the sweep removes the object, send it again.
        """
        with traces.span(SPAN):
            kind, error = _judged(content.head, seen.name)
            judged = _Content(sha256=content.sha256, key=content.key, kind=kind, error=error)
            return _told(self._store(seen, judged, priority, also))

    def refuse(self, seen: Seen, error: InputError) -> Receipt:
        """Note a file whose content is not taken, and why. Raises RetryableError if the database is down."""
        with transaction(self.engine) as session:
            videos.refuse(session, seen, code=error.code, message=str(error))
        return _told(Receipt(name=seen.name, intake=Intake.REFUSED, error=error))

    def _take(self, path: Path, root: Path, name: str, source: str, priority: Priority) -> Receipt:
        limit = self._settings.ingest.max_file_bytes
        with gate.open_regular(path, root=root, name=name, max_bytes=limit) as file:
            before = os.fstat(file.fileno())
            with self._objects.write_stream() as sink:
                head = b""
                for piece in _pieces(file, before.st_size, name):
                    head = head or piece[:HEAD_BYTES]
                    sink.write(piece)
                after = os.fstat(file.fileno())
                if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                    raise _Changed  # inside the stream, which then stores nothing
        seen = Seen(source=source, name=name, size_bytes=before.st_size, mtime_ns=before.st_mtime_ns)
        kind, error = _judged(head, name)
        return self._store(seen, _Content(sha256=sink.sha256, key=sink.key, kind=kind, error=error), priority)

    def _store(self, seen: Seen, content: _Content, priority: Priority, also: Also | None = None) -> Receipt:
        version = read_model_version(self._settings.weights)
        try:
            done = self._commit(seen, content, version, priority, also)
        except ContentErased:
            self._objects.discard(content.key, older_than=math.inf)  # it must not lie there until the sweep
            raise
        except IntegrityError:
            # Another process stored the same content between our look and our write; now it is there.
            done = self._commit(seen, content, version, priority, also)
        if done.ticket is not None and content.error is None:
            self._enqueue(done.ticket)
        return Receipt(
            name=seen.name,
            intake=done.intake,
            sha256=content.sha256,
            error=content.error,
            video_id=done.video_id,
        )

    def _commit(
        self, seen: Seen, content: _Content, version: ModelVersion, priority: Priority, also: Also | None
    ) -> _Committed:
        """One transaction: video, sighting, screening."""
        sha256 = content.sha256
        with transaction(self.engine) as session:
            erasure.refuse_erased(session, sha256, seen.name)
            register_version(session, version)
            video_id, new = videos.add(
                session,
                sha256=sha256,
                size_bytes=seen.size_bytes,
                media_kind=content.kind,
                object_key=content.key,
            )
            videos.sight(session, seen, video_id=video_id)
            wanted: dict[str, Any] = {
                "video_id": video_id,
                "model_version_id": model_versions.active(session) or version.id,
                "priority": priority,
            }
            ticket = screenings.request(session, **wanted)
            intake = Intake.KNOWN if ticket is None else Intake.QUEUED
            if ticket is None:
                ticket = screenings.hurry(session, **wanted)
            elif content.error is not None:
                screenings.refuse(session, ticket, content.error)
            if content.error is not None:
                intake = Intake.FAILED
            if new:
                audit.record(session, actor="ingest", action="video.added", subject=seen.name, sha256=sha256)
            if also is not None:
                also(session, video_id, intake)
        return _Committed(video_id=video_id, intake=intake, ticket=ticket)

    def _enqueue(self, ticket: Ticket) -> None:
        if time.monotonic() < self._redis_away_until:
            return
        try:
            self._redis = self._redis or queues.connect(
                self._settings.queue_url, answer_seconds=queues.ANSWER_SECONDS
            )
            queues.enqueue_screen(
                self._redis,
                ticket.row_id,
                ticket.attempt,
                job_seconds=self._settings.worker.job_seconds,
                priority=ticket.priority,
            )
        except ServiceUnavailable as error:
            self._redis = None
            self._redis_away_until = time.monotonic() + REDIS_PAUSE_SECONDS
            log.warning("not enqueued; the reconciler will", reason=str(error))


def _told(receipt: Receipt) -> Receipt:
    metrics.SIGHTED.labels(outcome=receipt.error.code if receipt.error else receipt.intake).inc()
    traces.note(intake=receipt.intake)
    log.info("taken in", name=receipt.name, intake=receipt.intake, sha256=receipt.sha256)
    return receipt


def _seen_at(path: Path, name: str, source: str) -> Seen:
    """What can be said of a file that may not be readable, or not be there."""
    try:
        status = path.lstat()
        size, mtime_ns = status.st_size, status.st_mtime_ns
    except OSError:
        size, mtime_ns = 0, 0
    return Seen(source=source, name=name, size_bytes=size, mtime_ns=mtime_ns)


def _judged(head: bytes, name: str) -> tuple[MediaKind, InputError | None]:
    try:
        return gate.sniff(head, name).kind, None
    except InputError as error:
        return MediaKind.UNKNOWN, error


def register_version(session: Session, version: ModelVersion) -> None:
    """Make a checkpoint's model version known to the database."""
    model_versions.register(session, **stored_values(version))


def _pieces(file: BinaryIO, size_bytes: int, name: str) -> Iterator[bytes]:
    """The content of a file that had `size_bytes` when opened; stops at once if it grows."""
    left = size_bytes
    for piece in gate.pieces(file, name):
        left -= len(piece)
        if left < 0:
            raise _Changed
        yield piece
