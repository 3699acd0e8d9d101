"""How much work there is, and how much of it is left."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.outcomes import UNFINISHED
from storage.tables import FlaggedFrame, Screening, Sighting


@dataclass(frozen=True, kw_only=True)
class Counts:
    screenings: dict[str, int]  # by status
    verdicts: dict[str, int]
    explanations: dict[str, int]  # by status
    refused: int  # files that were refused

    @property
    def busy(self) -> int:
        """Screenings and explanations that are still to be done."""
        screenings = sum(self.screenings.get(status, 0) for status in UNFINISHED)
        return screenings + self.explanations.get("queued", 0)


def latest_lease(session: Session) -> datetime | None:
    """The latest end of any lease, which keeps moving as long as a worker is busy."""
    ends = (session.scalar(select(func.max(row.lease_expires_at))) for row in (Screening, FlaggedFrame))
    return max((end for end in ends if end is not None), default=None)


def counts(session: Session) -> Counts:
    """All the counts."""

    def by(column: Any) -> dict[str, int]:
        rows = session.execute(select(column, func.count()).where(column.is_not(None)).group_by(column))
        return {str(value): count for value, count in rows}

    refused = select(func.count()).select_from(Sighting).where(Sighting.error_code.is_not(None))
    return Counts(
        screenings=by(Screening.status),
        verdicts=by(Screening.verdict),
        explanations=by(FlaggedFrame.explain_status),
        refused=session.scalar(refused) or 0,
    )
