"""Explanations of flagged frames: queued, claimed, stored each, then done or failed (storage.leases)."""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from core.errors import FacewardenError
from core.outcomes import ExplainStatus
from core.priorities import Priority
from core.results import ExplanationResult
from storage import leases
from storage.leases import Leases, Ticket
from storage.tables import ExplanationRow, FaceRow, FlaggedFrame, Screening


@dataclass(frozen=True, kw_only=True)
class Claim(leases.Claim):
    """A flagged frame that a worker is explaining."""

    crop_key: str
    # Of the face, as core.results.FaceResult has them.
    box: tuple[float, float, float, float]
    landmarks: list[list[float]]
    turn: int
    roll: float | None


class _Explanations(Leases[FlaggedFrame, Claim]):
    table = FlaggedFrame
    noun = "flagged frame"
    waiting = working = (
        ExplainStatus.QUEUED
    )  # queued until done; only the lease tells whether a worker has it

    def describe(self, session: Session, row: Any, ticket: Ticket, owner: str) -> Claim:
        row = session.execute(
            select(
                FlaggedFrame.crop_key,
                Screening.model_version_id,
                Screening.priority,
                Screening.traceparent,
                FaceRow,
            )
            .join(Screening, Screening.id == FlaggedFrame.screening_id)
            .join(FaceRow, FaceRow.id == FlaggedFrame.face_id)
            .where(FlaggedFrame.id == ticket.row_id)
        ).one()
        face: FaceRow = row.FaceRow
        return Claim(
            ticket=replace(ticket, priority=Priority(row.priority)),
            owner=owner,
            name=f"flagged frame {ticket.row_id}",
            model_version_id=row.model_version_id,
            traceparent=row.traceparent,
            crop_key=row.crop_key,
            box=face.box,
            landmarks=face.landmarks,
            turn=face.turn,
            roll=face.roll,
        )

    def empty(self, session: Session, row: FlaggedFrame) -> None:
        del session
        row.explain_error = None

    def failure(self, error: FacewardenError) -> dict[str, Any]:
        return {"explain_status": ExplainStatus.FAILED, "explain_error": str(error)}

    def give_up(self, session: Session, row: FlaggedFrame, *, name: str, reason: str) -> None:
        del session, name
        row.explain_status, row.explain_error = ExplainStatus.FAILED, reason


LEASES = _Explanations()


def store(session: Session, claimed: Claim, result: ExplanationResult) -> None:
    """Store one method's explanation, replacing an earlier one. Raises StaleAttempt if the claim was lost."""
    LEASES.hold(session, claimed, {})  # locks the row, so that the claim cannot be taken back meanwhile
    session.execute(
        delete(ExplanationRow).where(
            ExplanationRow.flagged_frame_id == claimed.ticket.row_id,
            ExplanationRow.method == result.method,
        )
    )
    session.add(ExplanationRow(flagged_frame_id=claimed.ticket.row_id, **vars(result)))


def finish(session: Session, claimed: Claim) -> None:
    """Mark the frame as explained. Raises StaleAttempt if the claim was lost."""
    LEASES.hold(
        session, claimed, {"explain_status": ExplainStatus.DONE, "explain_error": None, **leases.FREE}
    )


def ask_again(session: Session, screening_id: int) -> list[Ticket]:
    """Queue all flagged frames of a screening for new explanations."""
    rows = session.scalars(select(FlaggedFrame).where(FlaggedFrame.screening_id == screening_id)).all()
    return [LEASES.ask_again(session, row) for row in rows]
