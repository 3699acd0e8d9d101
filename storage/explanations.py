"""Explanations of flagged frames: queued, claimed, stored piece by piece, done or failed.

The fencing is that of `storage.screenings`, with `explain_attempt` as its token.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CursorResult, Update, delete, select, update
from sqlalchemy.orm import Session

from core.errors import StaleAttempt
from core.outcomes import ExplainStatus, ExplanationMethod
from storage.tables import ExplanationRow, FlaggedFrame, Screening, utc_now


@dataclass(frozen=True, kw_only=True)
class ExplainTicket:
    """The right to explain one flagged frame once."""

    flagged_frame_id: int
    attempt: int


@dataclass(frozen=True, kw_only=True)
class ExplainClaim:
    ticket: ExplainTicket
    owner: str
    crop_key: str
    model_version_id: str


@dataclass(frozen=True, kw_only=True)
class ExplanationResult:
    method: ExplanationMethod
    parameters: Mapping[str, Any]
    seed: int | None
    segments: bytes | None  # models.explain.run_length
    weights: Sequence[float]  # per segment, towards fake
    intercept: float | None
    local_prediction: float | None
    r2: float | None
    stability: float | None  # [0, 1]
    overlays: Mapping[str, str]  # name -> object key


def pending(session: Session) -> list[ExplainTicket]:
    """What SQL says is waiting for an explanation, the oldest first."""
    rows = session.execute(
        select(FlaggedFrame.id, FlaggedFrame.explain_attempt)
        .where(FlaggedFrame.explain_status == ExplainStatus.QUEUED, FlaggedFrame.lease_owner.is_(None))
        .order_by(FlaggedFrame.id)
    )
    return [ExplainTicket(flagged_frame_id=row.id, attempt=row.explain_attempt) for row in rows]


def claim(
    session: Session, ticket: ExplainTicket, *, owner: str, lease_seconds: float, now: datetime | None = None
) -> ExplainClaim | None:
    """Take the flagged frame, or None where it is another's, explained or gone."""
    now = now or utc_now()
    statement = (
        update(FlaggedFrame)
        .where(
            FlaggedFrame.id == ticket.flagged_frame_id,
            FlaggedFrame.explain_attempt == ticket.attempt,
            FlaggedFrame.explain_status == ExplainStatus.QUEUED,
            FlaggedFrame.lease_owner.is_(None),
        )
        .values(lease_owner=owner, lease_expires_at=now + timedelta(seconds=lease_seconds))
    )
    if not _run(session, statement):
        return None
    row = session.execute(
        select(FlaggedFrame.crop_key, Screening.model_version_id)
        .join(Screening, Screening.id == FlaggedFrame.screening_id)
        .where(FlaggedFrame.id == ticket.flagged_frame_id)
    ).one()
    return ExplainClaim(
        ticket=ticket, owner=owner, crop_key=row.crop_key, model_version_id=row.model_version_id
    )


def renew(session: Session, claimed: ExplainClaim, *, lease_seconds: float) -> bool:
    """Keep the lease for longer; False where it has been lost."""
    expires = utc_now() + timedelta(seconds=lease_seconds)
    return _run(session, _held(claimed).values(lease_expires_at=expires))


def store(session: Session, claimed: ExplainClaim, result: ExplanationResult) -> None:
    """Store one method's explanation, over an earlier one. Raises StaleAttempt where the claim is lost."""
    # An UPDATE that changes nothing takes the row's lock: nobody takes the claim back meanwhile.
    _hold(session, claimed, {"lease_owner": claimed.owner})
    session.execute(
        delete(ExplanationRow).where(
            ExplanationRow.flagged_frame_id == claimed.ticket.flagged_frame_id,
            ExplanationRow.method == result.method,
        )
    )
    session.add(
        ExplanationRow(
            flagged_frame_id=claimed.ticket.flagged_frame_id,
            method=result.method,
            parameters=dict(result.parameters),
            seed=result.seed,
            segments=result.segments,
            weights=list(result.weights),
            intercept=result.intercept,
            local_prediction=result.local_prediction,
            r2=result.r2,
            stability=result.stability,
            overlays=dict(result.overlays),
        )
    )


def finish(session: Session, claimed: ExplainClaim) -> None:
    """All methods are stored. Raises StaleAttempt where the claim is lost."""
    _hold(session, claimed, _ended(ExplainStatus.DONE, None))


def fail(session: Session, claimed: ExplainClaim, message: str) -> None:
    """No explanation can be had. Raises StaleAttempt where the claim is lost."""
    _hold(session, claimed, _ended(ExplainStatus.FAILED, message))


def release(
    session: Session, claimed: ExplainClaim, *, reason: str, max_attempts: int, counts: bool = True
) -> ExplainTicket | None:
    """Give a failed attempt back: the next one's ticket, or None where there is none.

    It `counts` where the frame may be the reason, not where the installation is.
    """
    row = session.get(FlaggedFrame, claimed.ticket.flagged_frame_id)
    if row is None or row.explain_attempt != claimed.ticket.attempt or row.lease_owner != claimed.owner:
        return None
    return _give_up_or_requeue(row, reason, max_attempts) if counts else _requeue(row)


def take_back_expired(
    session: Session, *, max_attempts: int, now: datetime | None = None
) -> list[ExplainTicket]:
    """Take flagged frames from workers that fell silent; returns the tickets to enqueue."""
    rows = session.scalars(
        select(FlaggedFrame)
        .where(
            FlaggedFrame.explain_status == ExplainStatus.QUEUED,
            FlaggedFrame.lease_expires_at < (now or utc_now()),
        )
        .with_for_update(skip_locked=True)
    ).all()
    tickets = [_give_up_or_requeue(row, "its worker fell silent", max_attempts) for row in rows]
    return [ticket for ticket in tickets if ticket is not None]


def ask_again(session: Session, screening_id: int) -> list[ExplainTicket]:
    """Queue every flagged frame of a screening for a new explanation."""
    rows = session.scalars(select(FlaggedFrame).where(FlaggedFrame.screening_id == screening_id)).all()
    for row in rows:
        row.explain_status, row.explain_error = ExplainStatus.QUEUED, None
        row.explain_failures = 0
    return [_requeue(row) for row in rows]


def _give_up_or_requeue(row: FlaggedFrame, reason: str, max_attempts: int) -> ExplainTicket | None:
    row.explain_failures += 1
    if row.explain_failures < max_attempts:
        return _requeue(row)
    row.explain_status, row.explain_error = ExplainStatus.FAILED, reason
    row.lease_owner = row.lease_expires_at = None
    return None


def _requeue(row: FlaggedFrame) -> ExplainTicket:
    row.lease_owner = row.lease_expires_at = None
    row.explain_attempt += 1
    return ExplainTicket(flagged_frame_id=row.id, attempt=row.explain_attempt)


def _ended(status: ExplainStatus, error: str | None) -> dict[str, Any]:
    return {"explain_status": status, "explain_error": error, "lease_owner": None, "lease_expires_at": None}


def _held(claimed: ExplainClaim) -> Update:
    return update(FlaggedFrame).where(
        FlaggedFrame.id == claimed.ticket.flagged_frame_id,
        FlaggedFrame.explain_attempt == claimed.ticket.attempt,
        FlaggedFrame.lease_owner == claimed.owner,
    )


def _hold(session: Session, claimed: ExplainClaim, values: dict[str, Any]) -> None:
    if not _run(session, _held(claimed).values(**values)):
        raise StaleAttempt(
            screening=f"frame {claimed.ticket.flagged_frame_id}", attempt=claimed.ticket.attempt
        )


def _run(session: Session, statement: Update) -> bool:
    result = session.execute(statement.execution_options(synchronize_session=False))
    return isinstance(result, CursorResult) and result.rowcount == 1
