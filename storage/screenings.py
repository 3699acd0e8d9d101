"""The life of a screening: requested, claimed, renewed, and completed, failed or released.

Every write of a worker is one conditional UPDATE on (id, attempt, owner, status). The attempt is a fencing
token: whoever took a screening back has raised it, and the slower worker's write then touches no row.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CursorResult, Update, or_, select, update
from sqlalchemy.orm import Session

from core.errors import AttemptsExhausted, FacewardenError, StaleAttempt
from core.outcomes import DecisionState, ScreeningStatus
from storage import audit
from storage.tables import Screening, Sighting, Video, utc_now

ANSWERS: dict[str, Any] = {
    "verdict": None,
    "score": None,
    "raw_score": None,
    "coverage": None,
    "partial": False,
    "longest_unseen_seconds": None,
    "looks": None,
    "error_code": None,
    "error_message": None,
    "finished_at": None,
}


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """The right to work on one attempt at one screening."""

    screening_id: int
    attempt: int


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A ticket that a worker holds, with what it needs to begin."""

    ticket: Ticket
    owner: str
    object_key: str
    name: str  # under which the video was last seen, for messages
    model_version_id: str


def request(session: Session, *, video_id: int, model_version_id: str, again: bool = False) -> Ticket | None:
    """Ask for a screening.

    Returns the ticket to enqueue, or None where the video is already screened or on its way;
    `again` starts a new attempt whatever is there.
    """
    row = session.scalar(
        select(Screening).where(
            Screening.video_id == video_id, Screening.model_version_id == model_version_id
        )
    )
    if row is None:
        row = Screening(
            video_id=video_id, model_version_id=model_version_id, **_of_the_video(session, video_id)
        )
        session.add(row)
        session.flush()
        return Ticket(screening_id=row.id, attempt=row.attempt)
    if not again:
        return None
    _requeue(row)
    row.failures = 0
    return Ticket(screening_id=row.id, attempt=row.attempt)


def _of_the_video(session: Session, video_id: int) -> dict[str, Any]:
    """What a new screening repeats of its video."""
    other = session.scalar(select(Screening).where(Screening.video_id == video_id).limit(1))
    first = select(Sighting.source).where(Sighting.video_id == video_id).order_by(Sighting.id).limit(1)
    return {
        "latest": other is None,  # else it will be once it is done: a re-screened video stays in the queue
        "added_at": session.scalar(select(Video.created_at).where(Video.id == video_id)),
        "source": session.scalar(first) or "",
        "decision_state": DecisionState.OPEN if other is None else other.decision_state,
    }


def supersede(session: Session, screening_id: int) -> None:
    """Let this screening, now done, stand for its video in the queue."""
    video = select(Screening.video_id).where(Screening.id == screening_id).scalar_subquery()
    session.execute(
        update(Screening)
        .where(Screening.video_id == video, Screening.latest != (Screening.id == screening_id))
        .values(latest=Screening.id == screening_id)
        .execution_options(synchronize_session=False)
    )


def _requeue(row: Screening) -> None:
    row.attempt += 1
    row.status = ScreeningStatus.QUEUED
    row.lease_owner = row.lease_expires_at = row.started_at = None
    row.queued_at = utc_now()
    for name, value in ANSWERS.items():
        setattr(row, name, value)


def claim(
    session: Session, ticket: Ticket, *, owner: str, lease_seconds: float, now: datetime | None = None
) -> Claim | None:
    """Take the screening, or None where it is another's, over, or of a newer attempt."""
    now = now or utc_now()
    taken = _run(
        session,
        update(Screening)
        .where(
            Screening.id == ticket.screening_id,
            Screening.attempt == ticket.attempt,
            Screening.status == ScreeningStatus.QUEUED,
        )
        .values(
            status=ScreeningStatus.SCREENING,
            lease_owner=owner,
            lease_expires_at=now + timedelta(seconds=lease_seconds),
            started_at=now,
        ),
    )
    if not taken:
        return None
    row = session.execute(
        select(Video.object_key, Video.sha256, Screening.model_version_id, Sighting.name)
        .select_from(Screening)
        .join(Video, Video.id == Screening.video_id)
        .outerjoin(Sighting, Sighting.video_id == Video.id)
        .where(Screening.id == ticket.screening_id)
        .order_by(Sighting.id.desc())
        .limit(1)
    ).one()
    return Claim(
        ticket=ticket,
        owner=owner,
        object_key=row.object_key,
        name=row.name or row.sha256,
        model_version_id=row.model_version_id,
    )


def renew(session: Session, claimed: Claim, *, lease_seconds: float, now: datetime | None = None) -> bool:
    """Keep the lease for longer; False where it has been lost."""
    expires = (now or utc_now()) + timedelta(seconds=lease_seconds)
    return _run(session, _held(claimed).values(lease_expires_at=expires))


def hold(session: Session, claimed: Claim, values: dict[str, Any]) -> None:
    """Write `values` to the screening if the claim still holds.

    Raises StaleAttempt where it does not; the caller's transaction must then be rolled back.
    """
    if not _run(session, _held(claimed).values(**values)):
        raise StaleAttempt(screening=claimed.ticket.screening_id, attempt=claimed.ticket.attempt)


def fail(session: Session, claimed: Claim, error: FacewardenError) -> None:
    """End the screening with a reason. Raises StaleAttempt where the claim is lost."""
    hold(session, claimed, _failure(error))
    audit.record(
        session, actor=claimed.owner, action="screening.failed", subject=claimed.name, code=error.code
    )


def refuse(session: Session, ticket: Ticket, error: FacewardenError) -> None:
    """End a screening that no worker needs to see: its input is at fault."""
    session.execute(update(Screening).where(Screening.id == ticket.screening_id).values(**_failure(error)))


def _failure(error: FacewardenError) -> dict[str, Any]:
    return {
        "status": ScreeningStatus.FAILED,
        "error_code": error.code,
        "error_message": str(error),
        "lease_owner": None,
        "lease_expires_at": None,
        "finished_at": utc_now(),
    }


def release(
    session: Session, claimed: Claim, *, reason: str, max_attempts: int, counts: bool = True
) -> Ticket | None:
    """Give an attempt back that did not work out.

    It `counts` where the video may be the reason, not where the installation is. Returns the next attempt's
    ticket, or None where the attempts are used up (the screening has then failed) or the claim was lost.
    """
    row = session.get(Screening, claimed.ticket.screening_id)
    if row is None or row.attempt != claimed.ticket.attempt or row.lease_owner != claimed.owner:
        return None
    if not counts:
        return _next_attempt(session, row)
    return _give_up_or_requeue(session, row, name=claimed.name, reason=reason, max_attempts=max_attempts)


def _next_attempt(session: Session, row: Screening) -> Ticket:
    _requeue(row)
    session.flush()
    return Ticket(screening_id=row.id, attempt=row.attempt)


def _give_up_or_requeue(
    session: Session, row: Screening, *, name: str, reason: str, max_attempts: int
) -> Ticket | None:
    row.failures += 1
    if row.failures < max_attempts:
        return _next_attempt(session, row)
    for column, value in _failure(AttemptsExhausted(name=name, attempts=row.failures, reason=reason)).items():
        setattr(row, column, value)
    audit.record(
        session, actor="facewarden", action="screening.failed", subject=name, code="attempts_exhausted"
    )
    return None


def take_back_expired(session: Session, *, max_attempts: int, now: datetime | None = None) -> list[Ticket]:
    """Take screenings from workers that fell silent; returns the tickets to enqueue."""
    now = now or utc_now()
    rows = session.scalars(
        select(Screening)
        .where(Screening.status == ScreeningStatus.SCREENING, Screening.lease_expires_at < now)
        .with_for_update(skip_locked=True)
    ).all()
    tickets = [
        _give_up_or_requeue(
            session,
            row,
            name=f"screening {row.id}",
            reason="its worker fell silent",
            max_attempts=max_attempts,
        )
        for row in rows
    ]
    return [ticket for ticket in tickets if ticket is not None]


def queued(session: Session) -> list[Ticket]:
    """What SQL says is waiting, whatever Redis says; the oldest first."""
    rows = session.execute(
        select(Screening.id, Screening.attempt)
        .where(Screening.status == ScreeningStatus.QUEUED)
        .order_by(Screening.id)
    )
    return [Ticket(screening_id=row.id, attempt=row.attempt) for row in rows]


def stuck(session: Session, now: datetime | None = None) -> list[int]:
    """Screenings whose lease has run out and that nobody has taken back."""
    return list(
        session.scalars(
            select(Screening.id).where(
                Screening.status == ScreeningStatus.SCREENING,
                or_(Screening.lease_expires_at < (now or utc_now()), Screening.lease_expires_at.is_(None)),
            )
        )
    )


def _held(claimed: Claim) -> Update:
    return update(Screening).where(
        Screening.id == claimed.ticket.screening_id,
        Screening.attempt == claimed.ticket.attempt,
        Screening.lease_owner == claimed.owner,
        Screening.status == ScreeningStatus.SCREENING,
    )


def _run(session: Session, statement: Update) -> bool:
    result = session.execute(statement.execution_options(synchronize_session=False))
    return isinstance(result, CursorResult) and result.rowcount == 1
