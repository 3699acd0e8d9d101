"""Which worker watches which live stream: claimed by a lease, renewed with each report.

As in storage.leases, the attempt is the fencing token, and the database's clock decides what has expired.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from core.errors import FacewardenError, StaleAttempt
from core.streams import StreamNow, StreamStatus
from storage import audit
from storage.clock import after, database_now
from storage.leases import FREE, changed_one
from storage.streams import alerts
from storage.streams.alerts import Raised
from storage.tables import LiveStream

WORKER = "worker"  # who acts, in the audit log


@dataclass(frozen=True, kw_only=True)
class WatchClaim:
    """A stream that a worker has claimed."""

    stream_id: int
    attempt: int
    owner: str
    url: str
    name: str
    begins_seconds: float  # stream time from which it goes on
    unseen_seconds: float  # of it, since the worker before fell silent
    seen_seconds: float  # by the workers before


def claim(
    session: Session, *, owner: str, lease_seconds: float, most: int, but: Collection[int] = ()
) -> list[WatchClaim]:
    """Claim up to `most` streams that wait, or whose worker is silent, the oldest first.

    `but` are those that this process watches: a lease of its own that has run out is renewed by the next
    report, with what there is to tell.
    """
    if most < 1:
        return []
    now = database_now(session)
    rows = session.scalars(
        select(LiveStream)
        .where(
            or_(
                LiveStream.status == StreamStatus.WAITING,
                (LiveStream.status == StreamStatus.WATCHING) & (LiveStream.lease_expires_at < now),
            ),
            LiveStream.id.not_in(but),
        )
        .order_by(LiveStream.id)
        .limit(most)
        .with_for_update(skip_locked=True)
    ).all()
    claims = []
    for row in rows:
        row.attempt += 1
        row.status, row.lease_owner = StreamStatus.WATCHING, owner
        row.lease_expires_at = after(lease_seconds, now)
        row.started_at = row.started_at or now
        away = (now - row.seen_at).total_seconds() if row.seen_at else 0.0
        # Of the worker before, nobody will hear again.
        alerts.close_all(session, row.id)
        claims.append(
            WatchClaim(
                stream_id=row.id,
                attempt=row.attempt,
                owner=owner,
                url=row.url,
                name=row.name,
                begins_seconds=row.position_seconds + max(0.0, away),
                unseen_seconds=max(0.0, away),
                seen_seconds=row.seen_seconds,
            )
        )
    return claims


def report(
    session: Session,
    claimed: WatchClaim,
    now: StreamNow,
    *,
    position_seconds: float,
    seen_seconds: float,
    model_version: str,
    lease_seconds: float,
    told: Sequence[Raised] = (),
) -> bool:
    """Say how the stream is, with what there is to tell, and renew the lease.

    Returns whether somebody wants it to stop. Raises StaleAttempt where another worker has it; then the
    transaction must be rolled back.
    """
    _hold(
        session,
        claimed,
        {
            "lease_expires_at": after(lease_seconds),
            "seen_at": after(0),
            "position_seconds": position_seconds,
            "seen_seconds": seen_seconds,
            "model_version_id": model_version,
            "view": asdict(now),
        },
    )
    for each in told:
        alerts.write(session, claimed.stream_id, claimed.name, each, model_version=model_version)
    return bool(session.scalar(select(LiveStream.stop_asked).where(LiveStream.id == claimed.stream_id)))


def end(
    session: Session, claimed: WatchClaim, status: StreamStatus, error: FacewardenError | None = None
) -> None:
    """The stream is over. Raises StaleAttempt where another worker has it."""
    values: dict[str, Any] = {"status": status, "ended_at": after(0), **FREE}
    if error is not None:
        values |= {"error_code": error.code, "error_message": str(error)}
    _hold(session, claimed, values)
    alerts.close_all(session, claimed.stream_id)
    audit.record(
        session,
        actor=WORKER,
        action=f"stream.{status}",
        subject=str(claimed.stream_id),
        error=None if error is None else error.code,
    )


def give_back(session: Session, claimed: WatchClaim) -> None:
    """Let another worker have it. Raises StaleAttempt where one has it already."""
    _hold(session, claimed, {"status": StreamStatus.WAITING, **FREE})


def _hold(session: Session, claimed: WatchClaim, values: dict[str, Any]) -> None:
    statement = (
        update(LiveStream)
        .where(
            LiveStream.id == claimed.stream_id,
            LiveStream.attempt == claimed.attempt,
            LiveStream.lease_owner == claimed.owner,
            LiveStream.status == StreamStatus.WATCHING,
        )
        .values(**values)
    )
    if not changed_one(session, statement):
        raise StaleAttempt(work=f"stream {claimed.stream_id}", attempt=claimed.attempt)
