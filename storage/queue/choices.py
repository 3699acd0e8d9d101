"""What the queue's filters offer: the known sources and model versions."""

from dataclasses import dataclass

from sqlalchemy import func, select, true
from sqlalchemy.orm import Session

from storage.tables import ModelVersionRow, Screening

MOST_SOURCES = 100  # nobody reads a longer list; other sources still work in the address


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    id: str
    label: str


def sources(session: Session) -> list[str]:
    """The sources where videos were first seen, by name.

    Each is found as the smallest one above the previous: one index probe per source, where DISTINCT would
    read a row per video.
    """
    found: list[str] = []
    while len(found) < MOST_SOURCES:
        # Without statistics SQLite would not choose this index.
        query = select(func.min(Screening.source)).where(Screening.latest == true())
        query = query.with_hint(Screening, "INDEXED BY ix_screening_queue_source_score", "sqlite")
        if found:
            query = query.where(Screening.source > found[-1])
        following = session.scalar(query)
        if following is None:
            break
        found.append(following)
    return found


def model_versions(session: Session) -> list[ModelChoice]:
    """The model versions that have screened anything, the newest first."""
    query = select(ModelVersionRow.id, ModelVersionRow.label).order_by(ModelVersionRow.created_at.desc())
    return [ModelChoice(id=row.id, label=row.label) for row in session.execute(query)]
