"""Explanations and pictures of flagged frames, with the video they belong to."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, defer

from core.errors import NotFound
from core.outcomes import ExplanationMethod
from core.results import ExplanationResult
from storage import values
from storage.tables import ExplanationRow, FlaggedFrame, Screening


@dataclass(frozen=True, kw_only=True)
class FrameObjects:
    """Where the pictures of a flagged frame are stored."""

    video_id: int
    image_key: str  # JPEG of the whole frame
    crop_key: str  # PNG of exactly what was classified


@dataclass(frozen=True, kw_only=True)
class StoredExplanation(ExplanationResult):
    id: int
    video_id: int
    flagged_frame_id: int
    created_at: datetime


def frame_objects(session: Session, flagged_frame_id: int) -> FrameObjects:
    """Raises NotFound."""
    query = select(Screening.video_id, FlaggedFrame.image_key, FlaggedFrame.crop_key).join(
        Screening, Screening.id == FlaggedFrame.screening_id
    )
    row = session.execute(query.where(FlaggedFrame.id == flagged_frame_id)).first()
    if row is None:
        raise NotFound(what="Flagged frame", key=flagged_frame_id)
    return FrameObjects(**row._mapping)


def full(session: Session, explanation_id: int) -> StoredExplanation:
    """One explanation. Raises NotFound."""
    found = session.execute(_query().where(ExplanationRow.id == explanation_id)).first()
    if found is None:
        raise NotFound(what="Explanation", key=explanation_id)
    row, video_id = found
    return _stored(row, video_id, segments=row.segments)


def of_frames(session: Session, frame_ids: Sequence[int]) -> dict[int, list[StoredExplanation]]:
    """The explanations of each flagged frame that has any, the oldest first.

    Without their segments, which are large; `full` returns them.
    """
    query = _query().options(defer(ExplanationRow.segments, raiseload=True))
    query = query.where(ExplanationRow.flagged_frame_id.in_(frame_ids)).order_by(ExplanationRow.id)
    found: dict[int, list[StoredExplanation]] = defaultdict(list)
    for row, video_id in session.execute(query):
        found[row.flagged_frame_id].append(_stored(row, video_id, segments=None))
    return found


def _query() -> Select[ExplanationRow, int]:
    return (
        select(ExplanationRow, Screening.video_id)
        .join(FlaggedFrame, FlaggedFrame.id == ExplanationRow.flagged_frame_id)
        .join(Screening, Screening.id == FlaggedFrame.screening_id)
    )


def _stored(row: ExplanationRow, video_id: int, *, segments: bytes | None) -> StoredExplanation:
    method = ExplanationMethod(row.method)
    return values.of_row(StoredExplanation, row, video_id=video_id, method=method, segments=segments)
