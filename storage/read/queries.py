"""What reviewers and operators ask: results page by page, counts, leases that got stuck."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.outcomes import ScreeningStatus, Verdict
from storage import videos
from storage.read import flagged_frames
from storage.read.flagged_frames import FlaggedFrameDetail
from storage.tables import (
    FaceTrack,
    FlaggedFrame,
    ModelVersionRow,
    Screening,
    Sighting,
    Video,
)

FLAGGED = tuple(verdict.value for verdict in Verdict if verdict.flagged)


@dataclass(frozen=True, kw_only=True)
class TrackView:
    number: int
    start_seconds: float
    end_seconds: float
    frames: int
    usable_frames: int
    score: float | None
    flagged_ranges: list[list[float]]  # from and to, in seconds, by time


@dataclass(frozen=True, kw_only=True)
class VideoView:
    screening_id: int
    video_id: int
    sha256: str
    names: list[str]
    status: str
    attempt: int
    verdict: str | None
    score: float | None
    coverage: float | None
    partial: bool
    turn: int  # degrees clockwise by which the picture is turned so that most of the faces stand
    rejected_faces: dict[str, int]  # kept from the classifier by the quality gate, by reason
    longest_unseen_seconds: float | None  # of the video, without an undamaged sample
    looks: float | None  # at faces and stretches, of which the worst decided
    model_version: str
    model_label: str
    error_code: str | None
    error_message: str | None
    timings: dict[str, Any] | None
    tracks: list[TrackView]
    flagged_frames: list[FlaggedFrameDetail]


def list_videos(
    session: Session,
    *,
    verdicts: Sequence[str] = (),
    sha256: str | None = None,
    after: int | None = None,
    limit: int = 100,
) -> list[VideoView]:
    """Screenings, the newest first; `after` is the last screening id of the page before.

    A page costs six queries, however long it is.
    """
    query = (
        select(Screening, Video, ModelVersionRow.label)
        .join(Video, Video.id == Screening.video_id)
        .join(ModelVersionRow, ModelVersionRow.id == Screening.model_version_id)
        .order_by(Screening.id.desc())
        .limit(limit)
    )
    if verdicts:
        query = query.where(Screening.verdict.in_(verdicts))
    if sha256 is not None:
        query = query.where(Video.sha256.startswith(sha256, autoescape=True))
    if after is not None:
        query = query.where(Screening.id < after)
    rows = session.execute(query).all()
    screening_ids = [screening.id for screening, _, _ in rows]
    names = _names(session, [video.id for _, video, _ in rows])
    tracks = _tracks(session, screening_ids)
    flagged = flagged_frames.of_screenings(session, screening_ids)
    return [
        VideoView(
            screening_id=screening.id,
            video_id=video.id,
            sha256=video.sha256,
            names=names[video.id],
            status=screening.status,
            attempt=screening.attempt,
            verdict=screening.verdict,
            score=screening.score,
            coverage=screening.coverage,
            partial=screening.partial,
            turn=screening.turn,
            rejected_faces=screening.rejected_faces,
            longest_unseen_seconds=screening.longest_unseen_seconds,
            looks=screening.looks,
            model_version=screening.model_version_id,
            model_label=label,
            error_code=screening.error_code,
            error_message=screening.error_message,
            timings=screening.timings,
            tracks=tracks[screening.id],
            flagged_frames=flagged.get(screening.id, []),
        )
        for screening, video, label in rows
    ]


def flagged_screenings(session: Session, key: str) -> list[int]:
    """The flagged screenings of the videos with the SHA-256, its first digits or the whole name `key`."""
    called = Screening.video_id.in_(videos.called(session, key))
    found = select(Screening.id).where(called, Screening.verdict.in_(FLAGGED))
    return list(session.scalars(found.order_by(Screening.id)))


def _names(session: Session, video_ids: list[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    query = select(Sighting.video_id, Sighting.name).where(Sighting.video_id.in_(video_ids))
    for video_id, name in session.execute(query.order_by(Sighting.id)):
        if video_id is not None and name not in found[video_id]:
            found[video_id].append(name)
    return found


def _tracks(session: Session, screening_ids: list[int]) -> dict[int, list[TrackView]]:
    found: dict[int, list[TrackView]] = defaultdict(list)
    query = select(FaceTrack).where(FaceTrack.screening_id.in_(screening_ids)).order_by(FaceTrack.number)
    for track in session.scalars(query):
        found[track.screening_id].append(
            TrackView(
                number=track.number,
                start_seconds=track.start_seconds,
                end_seconds=track.end_seconds,
                frames=track.frames,
                usable_frames=track.usable_frames,
                score=track.score,
                flagged_ranges=track.flagged_ranges,
            )
        )
    return found


@dataclass(frozen=True, kw_only=True)
class Counts:
    screenings: dict[str, int]  # by status
    verdicts: dict[str, int]
    explanations: dict[str, int]  # by status
    refused: int  # files that never became videos

    @property
    def busy(self) -> int:
        """What is still to be done."""
        waiting = (ScreeningStatus.QUEUED, ScreeningStatus.SCREENING)
        return sum(self.screenings.get(status, 0) for status in waiting) + self.explanations.get("queued", 0)


def latest_lease(session: Session) -> datetime | None:
    """When the lease ends that a worker took or renewed last; it moves on as long as one works."""
    ends = (session.scalar(select(func.max(row.lease_expires_at))) for row in (Screening, FlaggedFrame))
    return max((end for end in ends if end is not None), default=None)


def counts(session: Session) -> Counts:
    """How many of what there are."""

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
