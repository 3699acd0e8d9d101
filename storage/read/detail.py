"""Screenings with what they found, and single videos in full, for command line, API and pages."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import face_evidence
from core.errors import NotFound, OriginalErased
from core.face_evidence import FaceEvidence
from core.known import KnownContent
from core.model_version import Calibration
from core.outcomes import ExplanationMethod
from core.policy import Policy
from core.provenance import Provenance
from core.results import FaceResult, TrackResult
from storage import earlier_answers, values
from storage.earlier_answers import EarlierAnswerView
from storage.erasure import Kept, kept
from storage.people import decisions
from storage.people.decisions import DecisionView
from storage.queue import listing, plan
from storage.queue.filters import Filters, Position
from storage.queue.listing import QueueItem
from storage.read import flagged_frames, known
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
class SightingView:
    source: str
    name: str
    seen_at: datetime


@dataclass(frozen=True, kw_only=True)
class ScreeningSummary:
    """Another screening of the same video."""

    screening_id: int
    model_version: str
    model_label: str
    status: str
    verdict: str | None
    score: float | None
    latest: bool  # represents the video in the queue
    finished_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class ModelDetail:
    id: str
    label: str
    architecture: str
    weights_sha256: str
    details: dict[str, Any]  # crop, calibration, thresholds, training record

    @property
    def calibration(self) -> Calibration:
        return Calibration.of(self.details.get("calibration") or {})

    @property
    def fake_threshold(self) -> float | None:
        return self.details.get("fake_threshold")

    @property
    def suspect_threshold(self) -> float | None:
        return self.details.get("suspect_threshold")


@dataclass(frozen=True, kw_only=True)
class TrackDetail(TrackResult):
    faces: Sequence[FaceResult]  # by time
    evidence: FaceEvidence | None  # summed over its explained frames; None without any


@dataclass(frozen=True, kw_only=True)
class ScreeningDetail:
    """One screening and what it found, except for single faces."""

    item: QueueItem
    attempt: int
    queued_at: datetime
    started_at: datetime | None
    raw_score: float | None  # the aggregated logit behind the score
    policy: Policy | None  # by which it became the verdict; None: no verdict, or by an older release
    unseen: list[str]  # what was not examined, in words
    looks: float | None  # at faces and stretches, of which the worst decided
    probe: dict[str, Any] | None  # container, codec, size, duration
    provenance: Provenance | None  # what the file states about itself; None: not looked for yet
    timings: dict[str, Any] | None  # seconds per stage
    tracks: Sequence[TrackResult]  # by number
    flagged_frames: list[FlaggedFrameDetail]  # the most suspicious first
    sightings: list[SightingView]  # of the video, the oldest first
    known: list[KnownContent]  # what it looks like: decided videos, lists, other videos

    @property
    def names(self) -> list[str]:
        """The different names of the video, in the order in which they were first seen."""
        return list(dict.fromkeys(each.name for each in self.sightings))

    @property
    def worst_track(self) -> TrackResult | None:
        """The one that decided: the highest score of those with a say in the verdict."""
        judged = [track for track in self.tracks if track.supported and track.score is not None]
        return max(judged, key=lambda track: track.score or 0.0, default=None)

    def evidence(self, track: int) -> FaceEvidence | None:
        """Which parts of a track's face speak for fake, summed over its explained frames; or None."""
        mine = [
            each
            for frame in self.flagged_frames
            if frame.track == track
            for each in frame.explanations
            if each.method == ExplanationMethod.LIME
        ]
        return face_evidence.of_track((each.parts, each.weights, each.r2, each.stability) for each in mine)


@dataclass(frozen=True, kw_only=True)
class VideoDetail(ScreeningDetail):
    tracks: Sequence[TrackDetail]
    object_key: str  # of the video itself; empty once it was erased
    kept: Kept
    model: ModelDetail
    screenings: list[ScreeningSummary]  # of all model versions, the latest request first
    earlier: Sequence[EarlierAnswerView]  # of this screening, the newest first
    decisions: list[DecisionView]  # the oldest first


def video(
    session: Session, video_id: int, model_version: str | None = None, *, account_id: int | None = None
) -> VideoDetail:
    """The video as one model version saw it, by default with the screening that represents it in the queue.

    Raises NotFound if there is no such video or no such screening of it.
    """
    screening, video, row = _screening(session, video_id, model_version)
    (found,) = _details(session, [screening], account_id=account_id)
    model = values.of_row(ModelDetail, row)
    faces = _faces(session, screening.id, model.calibration)
    tracks = [
        TrackDetail(**vars(track), faces=faces.get(track.number, []), evidence=found.evidence(track.number))
        for track in found.tracks
    ]
    return VideoDetail(
        **(vars(found) | {"tracks": tracks}),
        object_key=video.object_key,
        kept=kept(session, video_id),
        model=model,
        screenings=_screenings(session, video_id),
        earlier=earlier_answers.of_screening(session, screening.id),
        decisions=decisions.history(session, video_id),
    )


def screenings(
    session: Session, filters: Filters, *, after: Position | None = None, limit: int = 100
) -> list[ScreeningDetail]:
    """A page of the screenings that match, in order. It takes fifteen queries, however long it is."""
    found = [row.id for row in plan.find(session, filters, limit=limit, after=after)]
    rows = {row.id: row for row in session.scalars(select(Screening).where(Screening.id.in_(found)))}
    return _details(session, [rows[id_] for id_ in found])


@dataclass(frozen=True, kw_only=True)
class Media:
    """The content of a video."""

    sha256: str
    object_key: str
    name: str  # the one last seen, or the SHA-256


def media(session: Session, video_id: int) -> Media:
    """Where the content is stored. Raises NotFound, and OriginalErased where it no longer is."""
    query = (
        select(Video.sha256, Video.object_key, Video.original_erased_at, Sighting.name)
        .outerjoin(Sighting, Sighting.video_id == Video.id)
        .where(Video.id == video_id)
        .order_by(Sighting.id.desc())
        .limit(1)
    )
    row = session.execute(query).first()
    if row is None:
        raise NotFound(what="Video", key=video_id)
    name = row.name or row.sha256
    if row.original_erased_at is not None:
        raise OriginalErased(name=name, at=f"{row.original_erased_at:%Y-%m-%d}")
    return Media(sha256=row.sha256, object_key=row.object_key, name=name)


def first_frame(session: Session, video_id: int) -> FrameObjects:
    """The pictures of the most suspicious frame. Raises NotFound if the video has none."""
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
    return FrameObjects(video_id=video_id, **row._mapping)


def poster_key(session: Session, video_id: int) -> str:
    """The key of the video's poster. Raises NotFound if it has none."""
    query = select(Screening.poster_key).where(Screening.video_id == video_id, Screening.latest)
    key = session.scalar(query.limit(1))
    if key is None:
        raise NotFound(what="A poster of video", key=video_id)
    return key


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


def _details(
    session: Session, rows: Sequence[Screening], *, account_id: int | None = None
) -> list[ScreeningDetail]:
    ids = [row.id for row in rows]
    items = listing.items(session, ids, account_id=account_id)
    tracks, frames = _tracks(session, ids), flagged_frames.of_screenings(session, ids)
    sightings = _sightings(session, [row.video_id for row in rows])
    alike = known.of_videos(session, {row.video_id for row in rows})
    return [
        values.of_row(
            ScreeningDetail,
            row,
            item=item,
            policy=None if row.policy is None else Policy.of_stored(row.policy),
            unseen=row.unseen or [],
            provenance=None if row.provenance is None else Provenance.of(row.provenance),
            tracks=tracks.get(row.id, []),
            flagged_frames=frames.get(row.id, []),
            sightings=sightings.get(row.video_id, []),
            known=alike.get(row.video_id, []),
        )
        for row, item in zip(rows, items, strict=True)
    ]


def _tracks(session: Session, screening_ids: Sequence[int]) -> dict[int, list[TrackResult]]:
    found: dict[int, list[TrackResult]] = defaultdict(list)
    query = select(FaceTrack).where(FaceTrack.screening_id.in_(screening_ids)).order_by(FaceTrack.number)
    for row in session.scalars(query):
        found[row.screening_id].append(values.of_row(TrackResult, row))
    return found


def _faces(session: Session, screening_id: int, calibration: Calibration) -> dict[int, list[FaceResult]]:
    found: dict[int, list[FaceResult]] = defaultdict(list)
    query = (
        select(FaceRow, FaceTrack.number, FrameScore.logit)
        .join(FaceTrack, FaceTrack.id == FaceRow.track_id)
        .outerjoin(FrameScore, FrameScore.face_id == FaceRow.id)
        .where(FaceRow.screening_id == screening_id)
        .order_by(FaceRow.time_seconds, FaceRow.id)
    )
    for row, number, logit in session.execute(query):
        score = None if logit is None else calibration.probability(logit)
        face = values.of_row(FaceResult, row, track_number=number, logit=logit, score=score)
        found[number].append(face)
    return found


def _screenings(session: Session, video_id: int) -> list[ScreeningSummary]:
    query = (
        select(Screening, ModelVersionRow.label)
        .join(ModelVersionRow, ModelVersionRow.id == Screening.model_version_id)
        .where(Screening.video_id == video_id)
        .order_by(Screening.id.desc())
    )
    return [
        values.of_row(
            ScreeningSummary,
            row,
            screening_id=row.id,
            model_version=row.model_version_id,
            model_label=label,
        )
        for row, label in session.execute(query)
    ]


def _sightings(session: Session, video_ids: Sequence[int]) -> dict[int | None, list[SightingView]]:
    found: dict[int | None, list[SightingView]] = defaultdict(list)
    query = select(Sighting).where(Sighting.video_id.in_(video_ids)).order_by(Sighting.id)
    for row in session.scalars(query):
        found[row.video_id].append(values.of_row(SightingView, row))
    return found
