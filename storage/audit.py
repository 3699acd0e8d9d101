"""The append-only log of what happened, by whom: each row carries the hash of the row before it.

Changing, removing or inserting a row breaks every later hash, unless all of them are computed again. To
detect even that, or a log whose end was cut off, keep the last hash that `verify` reports somewhere else: a
later `verify` must still find it.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import event, func, select
from sqlalchemy.orm import Session

from storage.tables import AuditEvent, utc_now

FIRST = "0" * 64  # stands for the row before the first one
LOCK = 7_166_303  # PostgreSQL's advisory lock on the end of the log; any fixed number will do
PENDING = "audit.pending"  # key in Session.info
PAGE = 1000  # rows read at once


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
    last = session.execute(
        select(AuditEvent.id, AuditEvent.hash).order_by(AuditEvent.id.desc()).limit(1)
    ).first()
    number, previous = (last.id, last.hash) if last is not None else (0, FIRST)
    for fields in session.info.pop(PENDING):
        number += 1
        at = utc_now()
        digest = event_hash(previous, id=number, at=at, **fields)
        session.add(AuditEvent(id=number, at=at, previous_hash=previous, hash=digest, **fields))
        previous = digest


def _lock(session: Session) -> None:
    # SQLite needs no extra lock: a transaction that writes began with BEGIN IMMEDIATE.
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(LOCK)))


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
class Verification:
    events: int  # checked
    head: str  # hash of the last intact event; keep it elsewhere
    broken_at: int | None  # id of the first event that does not match; None if all do
    expected_found: bool | None  # whether the expected hash is in the chain; None: no hash was given

    @property
    def sound(self) -> bool:
        return self.broken_at is None and self.expected_found is not False


def verify(session: Session, *, expected: str | None = None) -> Verification:
    """Check the whole chain; `expected` is the head that an earlier run reported."""
    previous, events, found, after = FIRST, 0, expected == FIRST, 0
    while rows := _rows_after(session, after):
        for row in rows:
            digest = event_hash(
                previous,
                id=row.id,
                at=row.at,
                actor=row.actor,
                action=row.action,
                subject=row.subject,
                detail=row.detail,
            )
            if (row.previous_hash, row.hash) != (previous, digest):
                return Verification(
                    events=events,
                    head=previous,
                    broken_at=row.id,
                    expected_found=None if expected is None else found,
                )
            previous, events, after = digest, events + 1, row.id
            found = found or digest == expected
    return Verification(
        events=events, head=previous, broken_at=None, expected_found=None if expected is None else found
    )


def _rows_after(session: Session, after: int) -> Sequence[Any]:
    columns = AuditEvent.__table__.columns
    query = select(*columns).where(AuditEvent.id > after).order_by(AuditEvent.id).limit(PAGE)
    return session.execute(query).all()


@dataclass(frozen=True, kw_only=True)
class EventView:
    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    hash: str


def page(
    session: Session,
    *,
    before: int | None = None,
    actor: str | None = None,
    action: str | None = None,
    limit: int = 100,
) -> list[EventView]:
    """Events, the newest first; `before` is the last id of the page before."""
    query = select(AuditEvent).order_by(AuditEvent.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditEvent.id < before)
    if actor:
        query = query.where(AuditEvent.actor == actor)
    if action:
        query = query.where(AuditEvent.action == action)
    return [
        EventView(
            id=row.id,
            at=row.at,
            actor=row.actor,
            action=row.action,
            subject=row.subject,
            detail=row.detail,
            hash=row.hash,
        )
        for row in session.scalars(query)
    ]
