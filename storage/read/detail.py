"""One video in full: what a reviewer looks at before deciding.

Frame scores come as logits; `review.calibration` maps them by the model version's calibration.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import NotFound
from storage.people import decisions
from storage.people.decisions import DecisionView
from storage.queue import listing
from storage.queue.listing import QueueItem
from storage.queue.plan import Found
from storage.read import flagged_frames
from storage.read.explanation import FrameObjects
from storage.read.flagged_frames import FlaggedFrameDetail
from storage.tables import (
    FaceRow,
    FaceTrack,
    FlaggedFrame,
    FrameScore,
    ModelVersionRow,
    Screening,
    Sighting,
    Video,
)


@dataclass(frozen=True, kw_only=True)
class FaceView:
    """A face in one sampled frame."""

    id: int
    frame_index: int
    time_seconds: float
    box: tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels of the upright full frame
    frame_width: int | None  # pixels of that frame; None in rows of older releases
    frame_height: int | None
    logit: float | None  # None: not classified
    usable: bool  # passed the quality gate
    rejected_because: str | None
    probability: float  # of the detector, [0, 1]
    sharpness: float
    yaw: float  # 0 front, 1 profile
    roll: float | None  # degrees clockwise, once the frame is turned; None in rows of older releases
    turn: int  # degrees clockwise by which the frame is turned so that the face stands


@dataclass(frozen=True, kw_only=True)
class TrackDetail:
    number: int
    stream: int  # of the file's streams of pictures; 0 is what players show
    start_seconds: float
    end_seconds: float
    frames: int
    usable_frames: int
    score: float | None  # calibrated, [0, 1]
    supported: bool  # enough usable frames for a say in the verdict
    flagged_ranges: list[list[float]]  # from and to, in seconds, by time
    faces: list[FaceView]  # by time


@dataclass(frozen=True, kw_only=True)
class SightingView:
    source: str
    name: str
    seen_at: datetime


@dataclass(frozen=True, kw_only=True)
class ScreeningSummary:
    """Another look at the same video."""

    screening_id: int
    model_version: str
    model_label: str
    status: str
    verdict: str | None
    score: float | None
    latest: bool  # stands for the video in the queue
    finished_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class ModelDetail:
    id: str
    label: str
    architecture: str
    weights_sha256: str
    details: dict[str, Any]  # crop, calibration, thresholds, training record


@dataclass(frozen=True, kw_only=True)
class VideoDetail:
    item: QueueItem
    object_key: str  # of the video itself
    attempt: int
    queued_at: datetime
    started_at: datetime | None
    raw_score: float | None  # the aggregated logit behind the score
    unseen: list[str]  # what was not looked at, in words
    looks: float | None  # at faces and stretches, of which the worst decided
    probe: dict[str, Any] | None  # container, codec, size, duration
    timings: dict[str, Any] | None  # seconds per stage
    model: ModelDetail
    tracks: list[TrackDetail]
    flagged_frames: list[FlaggedFrameDetail]  # the most suspicious first
    screenings: list[ScreeningSummary]  # of all model versions, the latest request first
    decisions: list[DecisionView]  # the oldest first
    sightings: list[SightingView]  # the oldest first


def video(
    session: Session, video_id: int, model_version: str | None = None, *, account_id: int | None = None
) -> VideoDetail:
    """The video as one model version saw it; by default the screening that stands for it in the queue.

    Raises NotFound where there is no such video or no such screening of it.
    """
    screening, video, model = _screening(session, video_id, model_version)
    found = Found(id=screening.id, video_id=video_id, score=screening.score, added_at=screening.added_at)
    (item,) = listing.items(session, [found], account_id=account_id)
    return VideoDetail(
        item=item,
        object_key=video.object_key,
        attempt=screening.attempt,
        queued_at=screening.queued_at,
        started_at=screening.started_at,
        raw_score=screening.raw_score,
        unseen=screening.unseen or [],
        looks=screening.looks,
        probe=screening.probe,
        timings=screening.timings,
        model=ModelDetail(
            id=model.id,
            label=model.label,
            architecture=model.architecture,
            weights_sha256=model.weights_sha256,
            details=model.details,
        ),
        tracks=_tracks(session, screening.id),
        flagged_frames=flagged_frames.of_screenings(session, [screening.id]).get(screening.id, []),
        screenings=_screenings(session, video_id),
        decisions=decisions.history(session, video_id),
        sightings=_sightings(session, video_id),
    )


@dataclass(frozen=True, kw_only=True)
class Media:
    """The content of a video."""

    sha256: str
    object_key: str
    name: str  # under which it was last seen, else the SHA-256


def media(session: Session, video_id: int) -> Media:
    """Where the content lies. Raises NotFound."""
    query = (
        select(Video.sha256, Video.object_key, Sighting.name)
        .outerjoin(Sighting, Sighting.video_id == Video.id)
        .where(Video.id == video_id)
        .order_by(Sighting.id.desc())
        .limit(1)
    )
    row = session.execute(query).first()
    if row is None:
        raise NotFound(what="Video", key=video_id)
    return Media(sha256=row.sha256, object_key=row.object_key, name=row.name or row.sha256)


def first_frame(session: Session, video_id: int) -> FrameObjects:
    """The pictures of the most suspicious frame. Raises NotFound where the video has none."""
    query = (
        select(FlaggedFrame.image_key, FlaggedFrame.crop_key)
        .join(Screening, Screening.id == FlaggedFrame.screening_id)
        .where(Screening.video_id == video_id, FlaggedFrame.rank == 0)
        .order_by(Screening.latest.desc())
        .limit(1)
    )
    row = session.execute(query).first()
    if row is None:
        raise NotFound(what="A flagged frame of video", key=video_id)
    return FrameObjects(video_id=video_id, image_key=row.image_key, crop_key=row.crop_key)


def _screening(
    session: Session, video_id: int, model_version: str | None
) -> tuple[Screening, Video, ModelVersionRow]:
    query = (
        select(Screening, Video, ModelVersionRow)
        .join(Video, Video.id == Screening.video_id)
        .join(ModelVersionRow, ModelVersionRow.id == Screening.model_version_id)
        .where(Screening.video_id == video_id)
        .order_by(Screening.latest.desc(), Screening.id.desc())
        .limit(1)
    )
    if model_version is not None:
        query = query.where(Screening.model_version_id == model_version)
    row = session.execute(query).first()
    if row is None:
        by = f" screened by {model_version}" if model_version is not None else ""
        raise NotFound(what=f"A video{by} with the number", key=video_id)
    return row[0], row[1], row[2]


def _tracks(session: Session, screening_id: int) -> list[TrackDetail]:
    faces: dict[int, list[FaceView]] = defaultdict(list)
    query = (
        select(FaceRow, FrameScore.logit)
        .outerjoin(FrameScore, FrameScore.face_id == FaceRow.id)
        .where(FaceRow.screening_id == screening_id)
        .order_by(FaceRow.time_seconds, FaceRow.id)
    )
    for face, logit in session.execute(query):
        faces[face.track_id].append(
            FaceView(
                id=face.id,
                frame_index=face.frame_index,
                time_seconds=face.time_seconds,
                box=(face.x0, face.y0, face.x1, face.y1),
                frame_width=face.frame_width,
                frame_height=face.frame_height,
                logit=logit,
                usable=face.rejected_because is None,
                rejected_because=face.rejected_because,
                probability=face.probability,
                sharpness=face.sharpness,
                yaw=face.yaw,
                roll=face.roll,
                turn=face.turn,
            )
        )
    tracks = select(FaceTrack).where(FaceTrack.screening_id == screening_id).order_by(FaceTrack.number)
    return [
        TrackDetail(
            number=track.number,
            stream=track.stream,
            start_seconds=track.start_seconds,
            end_seconds=track.end_seconds,
            frames=track.frames,
            usable_frames=track.usable_frames,
            score=track.score,
            supported=track.supported,
            flagged_ranges=track.flagged_ranges,
            faces=faces[track.id],
        )
        for track in session.scalars(tracks)
    ]


def _screenings(session: Session, video_id: int) -> list[ScreeningSummary]:
    query = (
        select(Screening, ModelVersionRow.label)
        .join(ModelVersionRow, ModelVersionRow.id == Screening.model_version_id)
        .where(Screening.video_id == video_id)
        .order_by(Screening.id.desc())
    )
    return [
        ScreeningSummary(
            screening_id=row.id,
            model_version=row.model_version_id,
            model_label=label,
            status=row.status,
            verdict=row.verdict,
            score=row.score,
            latest=row.latest,
            finished_at=row.finished_at,
        )
        for row, label in session.execute(query)
    ]


def _sightings(session: Session, video_id: int) -> list[SightingView]:
    query = select(Sighting).where(Sighting.video_id == video_id).order_by(Sighting.id)
    return [
        SightingView(source=row.source, name=row.name, seen_at=row.seen_at) for row in session.scalars(query)
    ]
