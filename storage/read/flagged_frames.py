"""Flagged frames with their explanations, as reviewers and the command line see them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.tables import ExplanationRow, FaceRow, FlaggedFrame


@dataclass(frozen=True, kw_only=True)
class ExplanationDetail:
    id: int
    method: str
    parameters: dict[str, Any]
    seed: int | None
    r2: float | None  # of the local model, at most 1
    stability: float | None  # [0, 1]: how much other seeds agree
    intercept: float | None
    local_prediction: float | None
    overlays: dict[str, str]  # name -> object key of a PNG
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class FlaggedFrameDetail:
    id: int
    rank: int  # 0 is the most suspicious
    track: int
    face_id: int
    time_seconds: float
    box: tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels of the upright full frame
    frame_width: int | None  # pixels of that frame; None in rows of older releases
    frame_height: int | None
    score: float  # calibrated, [0, 1]
    image_key: str  # JPEG of the whole frame
    crop_key: str  # PNG of exactly what was classified
    explain_status: str
    explain_error: str | None
    explanations: list[ExplanationDetail]


def of_screenings(session: Session, screening_ids: Sequence[int]) -> dict[int, list[FlaggedFrameDetail]]:
    """The flagged frames of each screening that has some, the most suspicious first."""
    query = (
        select(FlaggedFrame, FaceRow)
        .join(FaceRow, FaceRow.id == FlaggedFrame.face_id)
        .where(FlaggedFrame.screening_id.in_(screening_ids))
        .order_by(FlaggedFrame.rank)
    )
    rows = session.execute(query).all()
    explained = _explanations(session, [frame.id for frame, _ in rows])
    found: dict[int, list[FlaggedFrameDetail]] = defaultdict(list)
    for frame, face in rows:
        found[frame.screening_id].append(
            FlaggedFrameDetail(
                id=frame.id,
                rank=frame.rank,
                track=frame.track_number,
                face_id=face.id,
                time_seconds=frame.time_seconds,
                box=(face.x0, face.y0, face.x1, face.y1),
                frame_width=face.frame_width,
                frame_height=face.frame_height,
                score=frame.score,
                image_key=frame.image_key,
                crop_key=frame.crop_key,
                explain_status=frame.explain_status,
                explain_error=frame.explain_error,
                explanations=explained[frame.id],
            )
        )
    return found


def _explanations(session: Session, frame_ids: Sequence[int]) -> dict[int, list[ExplanationDetail]]:
    found: dict[int, list[ExplanationDetail]] = defaultdict(list)
    query = select(
        # All but the segments, which are large and asked for one by one.
        ExplanationRow.id,
        ExplanationRow.flagged_frame_id,
        ExplanationRow.method,
        ExplanationRow.parameters,
        ExplanationRow.seed,
        ExplanationRow.r2,
        ExplanationRow.stability,
        ExplanationRow.intercept,
        ExplanationRow.local_prediction,
        ExplanationRow.overlays,
        ExplanationRow.created_at,
    ).where(ExplanationRow.flagged_frame_id.in_(frame_ids))
    for row in session.execute(query.order_by(ExplanationRow.id)):
        values = dict(row._mapping)
        found[values.pop("flagged_frame_id")].append(ExplanationDetail(**values))
    return found
