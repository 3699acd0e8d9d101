"""One explanation or one flagged frame by its number, and whose video it is."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import NotFound
from storage.tables import ExplanationRow, FlaggedFrame, Screening


@dataclass(frozen=True, kw_only=True)
class FrameObjects:
    """Where the pictures of a flagged frame lie."""

    video_id: int
    image_key: str  # JPEG of the whole frame
    crop_key: str  # PNG of exactly what was classified


@dataclass(frozen=True, kw_only=True)
class StoredExplanation:
    id: int
    video_id: int
    flagged_frame_id: int
    method: str
    parameters: dict[str, Any]
    seed: int | None
    segments: bytes | None  # storage.run_length
    weights: list[float]  # per segment, towards fake
    intercept: float | None
    local_prediction: float | None
    r2: float | None  # at most 1
    stability: float | None  # [0, 1]
    overlays: dict[str, str]  # name -> object key of a PNG


def frame_objects(session: Session, flagged_frame_id: int) -> FrameObjects:
    """Raises NotFound."""
    query = select(Screening.video_id, FlaggedFrame.image_key, FlaggedFrame.crop_key).join(
        Screening, Screening.id == FlaggedFrame.screening_id
    )
    row = session.execute(query.where(FlaggedFrame.id == flagged_frame_id)).first()
    if row is None:
        raise NotFound(what="Flagged frame", key=flagged_frame_id)
    return FrameObjects(video_id=row.video_id, image_key=row.image_key, crop_key=row.crop_key)


def full(session: Session, explanation_id: int) -> StoredExplanation:
    """Raises NotFound."""
    query = (
        select(ExplanationRow, Screening.video_id)
        .join(FlaggedFrame, FlaggedFrame.id == ExplanationRow.flagged_frame_id)
        .join(Screening, Screening.id == FlaggedFrame.screening_id)
        .where(ExplanationRow.id == explanation_id)
    )
    found = session.execute(query).first()
    if found is None:
        raise NotFound(what="Explanation", key=explanation_id)
    row, video_id = found[0], found[1]
    return StoredExplanation(
        id=row.id,
        video_id=video_id,
        flagged_frame_id=row.flagged_frame_id,
        method=row.method,
        parameters=row.parameters,
        seed=row.seed,
        segments=row.segments,
        weights=row.weights,
        intercept=row.intercept,
        local_prediction=row.local_prediction,
        r2=row.r2,
        stability=row.stability,
        overlays=row.overlays,
    )
