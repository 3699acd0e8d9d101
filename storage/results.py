"""Storing what a worker found in a video, in one transaction."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from core.known import Match
from core.outcomes import ScreeningStatus
from core.results import FaceResult, FlaggedFrameResult, ScreeningResult
from storage import audit, rows, screenings
from storage.known import matching
from storage.leases import FREE
from storage.screenings import Claim
from storage.tables import FaceRow, FaceTrack, FlaggedFrame, FrameScore, utc_now
from storage.webhooks import outbox


def complete(
    session: Session, claimed: Claim, result: ScreeningResult, matches: Sequence[Match] = ()
) -> list[int]:
    """Store the result and end the screening; returns the ids of the flagged frames.

    `matches`: what the video looks like.

    Replaces the rows of an earlier attempt. Raises StaleAttempt if the claim was lost; roll back then.
    """
    screenings.LEASES.hold(
        session,
        claimed,
        {
            **_without(result, "tracks", "faces", "flagged_frames", "hashes"),
            **FREE,
            "status": ScreeningStatus.DONE,
            "partial": result.coverage < 1,
            "finished_at": utc_now(),
        },
    )
    screening_id = claimed.ticket.row_id
    screenings.supersede(session, screening_id)
    if claimed.ticket.attempt > 1:  # a first attempt has none before it
        for table in (FlaggedFrame, FaceRow, FaceTrack):
            session.execute(delete(table).where(table.screening_id == screening_id))
    face_ids = _insert_faces(session, screening_id, result)
    flagged = _insert_flagged(session, screening_id, result.flagged_frames, face_ids)
    matching.store(session, claimed.video_id, matches)
    audit.record(
        session,
        actor=claimed.owner,
        action="screening.done",
        subject=claimed.name,
        verdict=result.verdict,
        score=result.score,
        model_version=claimed.model_version_id,
    )
    outbox.screened(session, screening_id)
    return flagged


def _insert_faces(session: Session, screening_id: int, result: ScreeningResult) -> list[int]:
    if not result.faces:
        return []
    track_ids = rows.add(
        session,
        FaceTrack,
        [{"screening_id": screening_id, **vars(track)} for track in result.tracks],
    )
    by_number = {track.number: id_ for track, id_ in zip(result.tracks, track_ids, strict=True)}
    face_ids = rows.add(
        session,
        FaceRow,
        [_face_values(screening_id, by_number[face.track_number], face) for face in result.faces],
    )
    scores = [
        {"face_id": id_, "logit": face.logit}
        for id_, face in zip(face_ids, result.faces, strict=True)
        if face.logit is not None
    ]
    rows.add(session, FrameScore, scores)
    return face_ids


def _face_values(screening_id: int, track_id: int, face: FaceResult) -> dict[str, Any]:
    x0, y0, x1, y1 = face.box
    return {
        "screening_id": screening_id,
        "track_id": track_id,
        "x0": x0,
        "y0": y0,
        "x1": x1,
        "y1": y1,
        **_without(face, "id", "track_number", "box", "logit", "score"),
    }


def _insert_flagged(
    session: Session, screening_id: int, flagged: Sequence[FlaggedFrameResult], face_ids: Sequence[int]
) -> list[int]:
    if not flagged:
        return []
    values = [
        {
            "screening_id": screening_id,
            "face_id": face_ids[frame.face_number],
            "rank": rank,
            **_without(frame, "face_number"),
        }
        for rank, frame in enumerate(flagged)
    ]
    inserted = insert(FlaggedFrame).returning(FlaggedFrame.id, sort_by_parameter_order=True)
    return list(session.scalars(inserted, values))


def _without(value: object, *names: str) -> dict[str, Any]:
    """The fields of a value that are columns of the same name: all except `names`."""
    return {name: field for name, field in vars(value).items() if name not in names}
