"""The append-only log of what happened, by whom: each row carries the hash of the row before it.

Changing, removing or inserting a row breaks every later hash, unless all of them are computed again. To
detect even that, or a log whose end was cut off, keep the last hash that `verify` reports somewhere else: a
later `verify` must still find it.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import event, func, insert, select
from sqlalchemy.orm import Session

from storage.rows import table_of
from storage.tables import AuditEvent, utc_now

FIRST = "0" * 64  # stands for the row before the first one
LOCK = 7_166_303  # PostgreSQL's advisory lock on the end of the log; any fixed number will do
PENDING = "audit.pending"  # key in Session.info
PAGE = 1000  # rows read at once

# Built once: they run for each video.
_EVENT = table_of(AuditEvent)
_LOCKING = select(func.pg_advisory_xact_lock(LOCK))
_LAST = select(_EVENT.c.id, _EVENT.c.hash).order_by(_EVENT.c.id.desc()).limit(1)
_INSERT = insert(_EVENT)


def record(session: Session, *, actor: str, action: str, subject: str, **detail: Any) -> None:
    """Add one event to the running transaction."""
    pending = session.info.setdefault(PENDING, [])
    if not pending:
        # Appended only at commit: the end of the log is locked last and as briefly as possible, so that no
        # transaction that waits for one of our rows can hold the log meanwhile.
        event.listen(session, "before_commit", _append, once=True)
    # The hash covers what JSON gives back: tuples become lists, keys become text.
    pending.append({"actor": actor, "action": action, "subject": subject, "detail": _plain(detail)})


def _plain(detail: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(detail))
    return plain


def _append(session: Session) -> None:
    _lock(session)
    last = session.execute(_LAST).first()
    number, previous = (last.id, last.hash) if last is not None else (0, FIRST)
    rows = []
    for told in session.info.pop(PENDING):
        number += 1
        at = utc_now()
        digest = event_hash(previous, id=number, at=at, **told)
        rows.append({"id": number, "at": at, "previous_hash": previous, "hash": digest, **told})
        previous = digest
    session.execute(_INSERT, rows)


def _lock(session: Session) -> None:
    # SQLite needs no extra lock: a transaction that writes began with BEGIN IMMEDIATE.
    if session.get_bind().dialect.name == "postgresql":
        session.execute(_LOCKING)


def event_hash(
    previous: str,
    *,
    id: int,  # noqa: A002  the column's name
    at: datetime,
    actor: str,
    action: str,
    subject: str,
    detail: dict[str, Any],
) -> str:
    """SHA-256 (hex) of the canonical JSON of an event, including the hash of the event before it.

    Canonical: keys sorted, no blanks, ASCII only, `at` in UTC with microseconds.
    """
    content = {
        "previous_hash": previous,
        "id": id,
        "at": at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": actor,
        "action": action,
        "subject": subject,
        "detail": detail,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class EventView:
    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    previous_hash: str  # of the event before
    hash: str


@dataclass(frozen=True, kw_only=True)
class Verification:
    events: int  # checked
    head: str  # hash of the last intact event; keep it elsewhere
    broken_at: int | None  # id of the first event that does not match; None if all do
    expected_found: bool | None  # whether the expected hash is in the chain; None: no hash was given

    @property
    def sound(self) -> bool:
        return self.broken_at is None and self.expected_found is not False


class Chain:
    """Follows the chain event by event."""

    def __init__(self, *, after: str = FIRST, expected: str | None = None) -> None:
        """`after` is the hash before the first event; `expected` one that should be met, or be `after`."""
        self._head, self._events, self._expected = after, 0, expected
        self._found = expected == after

    def follow(self, events: Iterable[EventView]) -> Verification:
        """Check the events, up to the first that does not match."""
        for each in events:
            digest = event_hash(
                self._head,
                id=each.id,
                at=each.at,
                actor=each.actor,
                action=each.action,
                subject=each.subject,
                detail=each.detail,
            )
            if (each.previous_hash, each.hash) != (self._head, digest):
                return self._verification(broken_at=each.id)
            self._head, self._events = digest, self._events + 1
            self._found = self._found or digest == self._expected
        return self._verification(broken_at=None)

    def _verification(self, broken_at: int | None) -> Verification:
        found = None if self._expected is None else self._found
        return Verification(events=self._events, head=self._head, broken_at=broken_at, expected_found=found)


def verify(session: Session, *, expected: str | None = None) -> Verification:
    """Check the whole chain; `expected` is the head that an earlier run reported."""
    return Chain(expected=expected).follow(_all(session))


def _all(session: Session) -> Iterator[EventView]:
    last = 0
    while found := following(session, last):
        yield from found
        last = found[-1].id


def following(session: Session, after: int, *, until: int | None = None) -> list[EventView]:
    """The next events behind the one with the id `after`, in their order, `PAGE` at most."""
    # Columns, not objects: the session would keep each object until the last one is read.
    columns = [AuditEvent.__table__.c[each.name] for each in fields(EventView)]
    query = select(*columns).where(AuditEvent.id > after).order_by(AuditEvent.id).limit(PAGE)
    if until is not None:
        query = query.where(AuditEvent.id <= until)
    return [EventView(**row) for row in session.execute(query).mappings()]


def page(
    session: Session,
    *,
    before: int | None = None,
    actor: str | None = None,
    action: str | None = None,
    limit: int = 100,
) -> list[EventView]:
    """Events, the newest first; `before` is the last id of the page before."""
    columns = [AuditEvent.__table__.c[each.name] for each in fields(EventView)]
    query = select(*columns).order_by(AuditEvent.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditEvent.id < before)
    if actor:
        query = query.where(AuditEvent.actor == actor)
    if action:
        query = query.where(AuditEvent.action == action)
    return [EventView(**row) for row in session.execute(query).mappings()]
