"""The progress of videos, which open pages query repeatedly."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, true
from sqlalchemy.orm import Session

from core.outcomes import UNFINISHED, ExplainStatus
from storage.tables import Decision, FlaggedFrame, Screening


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The screening that represents a video in the queue."""

    video_id: int
    status: str
    priority: str
    attempt: int
    verdict: str | None
    score: float | None  # calibrated, [0, 1]
    error_code: str | None
    error_message: str | None
    flagged: int  # frames
    explained: int  # of them, those that are explained or failed to be
    decisions: int


def of_videos(session: Session, video_ids: Sequence[int]) -> list[Progress]:
    """By id; unknown videos are left out. Takes three queries, however many videos."""
    rows = session.scalars(
        select(Screening)
        .where(Screening.video_id.in_(video_ids), Screening.latest == true())
        .order_by(Screening.video_id)
    ).all()
    frames = _frames(session, [row.id for row in rows])
    decided = _decisions(session, [row.video_id for row in rows])
    return [
        Progress(
            video_id=row.video_id,
            status=row.status,
            priority=row.priority,
            attempt=row.attempt,
            verdict=row.verdict,
            score=row.score,
            error_code=row.error_code,
            error_message=row.error_message,
            flagged=sum(frames.get(row.id, {}).values()),
            explained=sum(
                number for status, number in frames.get(row.id, {}).items() if status != ExplainStatus.QUEUED
            ),
            decisions=decided.get(row.video_id, 0),
        )
        for row in rows
    ]


def unfinished(session: Session, video_ids: Sequence[int]) -> set[int]:
    """Those of the videos that some model version still has to look at, whichever represents them."""
    rows = session.scalars(
        select(Screening.video_id).where(
            Screening.video_id.in_(video_ids),
            Screening.status.in_(UNFINISHED),
        )
    )
    return set(rows)


def _frames(session: Session, screening_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """Numbers of flagged frames, by screening and explanation status."""
    query = (
        select(FlaggedFrame.screening_id, FlaggedFrame.explain_status, func.count())
        .where(FlaggedFrame.screening_id.in_(screening_ids))
        .group_by(FlaggedFrame.screening_id, FlaggedFrame.explain_status)
    )
    found: dict[int, dict[str, int]] = {}
    for screening_id, status, number in session.execute(query):
        found.setdefault(screening_id, {})[status] = number
    return found


def _decisions(session: Session, video_ids: Sequence[int]) -> dict[int, int]:
    query = select(Decision.video_id, func.count()).where(Decision.video_id.in_(video_ids))
    rows = session.execute(query.group_by(Decision.video_id)).all()
    return {row[0]: row[1] for row in rows}
