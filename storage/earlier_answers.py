"""What a screening answered before its present answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.outcomes import Replaced
from core.policy import Policy
from storage import values
from storage.tables import EarlierAnswer, Screening


@dataclass(frozen=True, kw_only=True)
class EarlierAnswerView:
    replaced_at: datetime
    because: str  # core.outcomes.Replaced
    policy: Policy | None  # None: by an older release
    verdict: str
    score: float | None  # calibrated, [0, 1]


def keep(session: Session, row: Screening, because: Replaced) -> None:
    """Keep the row's answer, which is about to be replaced; a row without a verdict has none."""
    if row.verdict is None:
        return
    session.add(
        EarlierAnswer(
            screening_id=row.id,
            number=row.revision,
            because=because,
            policy=row.policy,
            verdict=row.verdict,
            score=row.score,
            raw_score=row.raw_score,
            looks=row.looks,
        )
    )
    row.revision += 1


def of_screening(session: Session, screening_id: int) -> Sequence[EarlierAnswerView]:
    """The newest first."""
    rows = session.scalars(
        select(EarlierAnswer)
        .where(EarlierAnswer.screening_id == screening_id)
        .order_by(EarlierAnswer.number.desc())
    )
    return [
        values.of_row(
            EarlierAnswerView,
            row,
            policy=None if row.policy is None else Policy.of_stored(row.policy),
        )
        for row in rows
    ]
