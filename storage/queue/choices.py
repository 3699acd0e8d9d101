"""What the queue's filters offer: the sources and the model versions that there are."""

from dataclasses import dataclass

from sqlalchemy import func, select, true
from sqlalchemy.orm import Session

from storage.tables import ModelVersionRow, Screening

MOST_SOURCES = 100  # more than that nobody reads in a list; any other can still stand in the address


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    id: str
    label: str


def sources(session: Session) -> list[str]:
    """The sources in which videos were first seen, by name.

    Each is found as the least one above the one before: as many probes of the index as there are sources,
    where DISTINCT would read a row per video.
    """
    found: list[str] = []
    while len(found) < MOST_SOURCES:
        # SQLite keeps no statistics to find the index by.
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
