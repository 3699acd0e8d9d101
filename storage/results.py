"""What a worker found in a video, as values, and its storing in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from core.outcomes import ScreeningStatus, Verdict
from storage import audit, screenings
from storage.screenings import Claim
from storage.tables import FaceRow, FaceTrack, FlaggedFrame, FrameScore, utc_now


@dataclass(frozen=True, kw_only=True)
class TrackResult:
    number: int  # from 0
    stream: int  # of the file's streams of pictures, counted from 0
    start_seconds: float
    end_seconds: float
    frames: int  # sampled frames in which the face was seen
    usable_frames: int  # of them, those that passed the quality gate
    score: float | None  # calibrated, [0, 1]; None without usable frames
    raw_score: float | None  # logit
    supported: bool  # enough usable frames for a say in the verdict
    flagged_ranges: Sequence[Sequence[float]] = ()  # from and to, in seconds, by time


@dataclass(frozen=True, kw_only=True)
class FaceResult:
    track_number: int
    frame_index: int  # number of the sample
    time_seconds: float
    box: tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels of the full frame
    frame_size: tuple[int, int]  # width and height of that frame, pixels
    landmarks: Sequence[Sequence[float]]  # five (x, y)
    probability: float  # of the detector, [0, 1]
    sharpness: float  # models.quality
    yaw: float  # 0 front, 1 profile
    roll: float  # degrees clockwise by which the head is tilted, once the frame is turned
    turn: int  # degrees clockwise by which the frame is turned so that the face stands
    rejected_because: str | None  # None: usable
    logit: float | None  # None: not classified


@dataclass(frozen=True, kw_only=True)
class FlaggedFrameResult:
    face_number: int  # index into the faces of the result
    track_number: int
    time_seconds: float
    score: float  # calibrated frame score, [0, 1]
    image_key: str
    crop_key: str


@dataclass(frozen=True, kw_only=True)
class ScreeningResult:
    verdict: Verdict
    score: float | None
    raw_score: float | None
    coverage: float
    unseen: Sequence[str]  # what was not looked at, in words
    rejected_faces: Mapping[str, int]  # kept from the classifier by the quality gate, by reason
    longest_unseen_seconds: float = 0.0  # of the video, without an undamaged sample
    looks: float = 1.0  # at faces and stretches, of which the worst decided
    turn: int  # degrees clockwise by which the picture is turned so that most of the faces stand
    probe: Mapping[str, Any]
    timings: Mapping[str, float]  # seconds per stage
    tracks: Sequence[TrackResult]
    faces: Sequence[FaceResult]
    flagged_frames: Sequence[FlaggedFrameResult]  # the most suspicious first


def complete(session: Session, claimed: Claim, result: ScreeningResult) -> list[int]:
    """Store the result and end the screening; returns the ids of the flagged frames.

    Rows of an earlier attempt are replaced. Raises StaleAttempt where the claim is lost: roll back then.
    """
    screenings.hold(
        session,
        claimed,
        {
            "status": ScreeningStatus.DONE,
            "verdict": result.verdict,
            "score": result.score,
            "raw_score": result.raw_score,
            "coverage": result.coverage,
            "partial": result.coverage < 1,
            "unseen": list(result.unseen),
            "rejected_faces": dict(result.rejected_faces),
            "longest_unseen_seconds": result.longest_unseen_seconds,
            "looks": result.looks,
            "turn": result.turn,
            "probe": dict(result.probe),
            "timings": dict(result.timings),
            "lease_owner": None,
            "lease_expires_at": None,
            "finished_at": utc_now(),
        },
    )
    screening_id = claimed.ticket.row_id
    screenings.supersede(session, screening_id)
    for table in (FlaggedFrame, FaceRow, FaceTrack):
        session.execute(delete(table).where(table.screening_id == screening_id))
    face_ids = _insert_faces(session, screening_id, result)
    flagged = _insert_flagged(session, screening_id, result.flagged_frames, face_ids)
    audit.record(
        session,
        actor=claimed.owner,
        action="screening.done",
        subject=claimed.name,
        verdict=result.verdict,
        score=result.score,
        model_version=claimed.model_version_id,
    )
    return flagged


def _insert_faces(session: Session, screening_id: int, result: ScreeningResult) -> list[int]:
    if not result.faces:
        return []
    track_ids = session.scalars(
        insert(FaceTrack).returning(FaceTrack.id, sort_by_parameter_order=True),
        [_track_values(screening_id, track) for track in result.tracks],
    ).all()
    by_number = {track.number: id_ for track, id_ in zip(result.tracks, track_ids, strict=True)}
    face_ids = list(
        session.scalars(
            insert(FaceRow).returning(FaceRow.id, sort_by_parameter_order=True),
            [_face_values(screening_id, by_number[face.track_number], face) for face in result.faces],
        )
    )
    scores = [
        {"face_id": id_, "logit": face.logit}
        for id_, face in zip(face_ids, result.faces, strict=True)
        if face.logit is not None
    ]
    if scores:
        session.execute(insert(FrameScore), scores)
    return face_ids


def _track_values(screening_id: int, track: TrackResult) -> dict[str, Any]:
    ranges = [list(each) for each in track.flagged_ranges]
    return {"screening_id": screening_id, **vars(track), "flagged_ranges": ranges}


def _face_values(screening_id: int, track_id: int, face: FaceResult) -> dict[str, Any]:
    x0, y0, x1, y1 = face.box
    width, height = face.frame_size
    return {
        "screening_id": screening_id,
        "track_id": track_id,
        "frame_index": face.frame_index,
        "time_seconds": face.time_seconds,
        "x0": x0,
        "y0": y0,
        "x1": x1,
        "y1": y1,
        "frame_width": width,
        "frame_height": height,
        "landmarks": [list(point) for point in face.landmarks],
        "probability": face.probability,
        "sharpness": face.sharpness,
        "yaw": face.yaw,
        "roll": face.roll,
        "turn": face.turn,
        "rejected_because": face.rejected_because,
    }


def _insert_flagged(
    session: Session, screening_id: int, flagged: Sequence[FlaggedFrameResult], face_ids: Sequence[int]
) -> list[int]:
    if not flagged:
        return []
    rows = [
        {
            "screening_id": screening_id,
            "face_id": face_ids[frame.face_number],
            "track_number": frame.track_number,
            "rank": rank,
            "time_seconds": frame.time_seconds,
            "score": frame.score,
            "image_key": frame.image_key,
            "crop_key": frame.crop_key,
        }
        for rank, frame in enumerate(flagged)
    ]
    inserted = insert(FlaggedFrame).returning(FlaggedFrame.id, sort_by_parameter_order=True)
    return list(session.scalars(inserted, rows))
