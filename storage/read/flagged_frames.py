"""Flagged frames with their explanations."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.outcomes import FLAGGED
from storage import values, videos
from storage.read import explanation
from storage.read.explanation import StoredExplanation
from storage.tables import FaceRow, FlaggedFrame, Screening


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
    explanations: list[StoredExplanation]  # the oldest first, without segments


def of_screenings(session: Session, screening_ids: Sequence[int]) -> dict[int, list[FlaggedFrameDetail]]:
    """The flagged frames of each screening that has any, the most suspicious first."""
    query = (
        select(FlaggedFrame, FaceRow)
        .join(FaceRow, FaceRow.id == FlaggedFrame.face_id)
        .where(FlaggedFrame.screening_id.in_(screening_ids))
        .order_by(FlaggedFrame.rank)
    )
    rows = session.execute(query).all()
    explained = explanation.of_frames(session, [frame.id for frame, _ in rows])
    found: dict[int, list[FlaggedFrameDetail]] = defaultdict(list)
    for frame, face in rows:
        found[frame.screening_id].append(
            values.of_row(
                FlaggedFrameDetail,
                frame,
                track=frame.track_number,
                box=face.box,
                frame_width=face.frame_width,
                frame_height=face.frame_height,
                explanations=explained.get(frame.id, []),
            )
        )
    return found


def flagged_screenings(session: Session, key: str) -> list[int]:
    """The flagged screenings of videos whose SHA-256 begins with `key` or whose whole name it is."""
    called = Screening.video_id.in_(videos.called(session, key))
    found = select(Screening.id).where(called, Screening.verdict.in_(FLAGGED))
    return list(session.scalars(found.order_by(Screening.id)))
