"""Storing what a worker found in a video, in one transaction."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, exists, insert
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningUpdate

from core.known import Match
from core.outcomes import ScreeningStatus
from core.results import FlaggedFrameResult, ScreeningResult
from storage import audit, faces, screenings
from storage.known import matching
from storage.leases import FREE
from storage.rows import last_of, table_of
from storage.screenings import Claim
from storage.tables import FaceRow, FaceTrack, FlaggedFrame, KnownMatch, Screening, utc_now
from storage.webhooks import outbox


def _ending() -> ReturningUpdate[Any]:
    """The end of a screening also tells what is left to do; of most, nothing is."""
    screening, match = table_of(Screening).c, table_of(KnownMatch).c
    return screenings.LEASES.held.returning(
        screening.latest,
        last_of(match.id, where=match.video_id, equals=screening.video_id).label("match"),
        exists(outbox.LISTENING).label("listened"),
    )


_ENDING = _ending()


def complete(
    session: Session, claimed: Claim, result: ScreeningResult, matches: Sequence[Match] = ()
) -> list[int]:
    """Store the result and end the screening; returns the ids of the flagged frames.

    `matches`: what the video looks like.

    Replaces the rows of an earlier attempt. Raises StaleAttempt if the claim was lost; roll back then.
    """
    found = screenings.LEASES.hold(
        session,
        claimed,
        {
            **_without(result, "tracks", "faces", "flagged_frames", "hashes"),
            **FREE,
            "status": ScreeningStatus.DONE,
            "partial": result.coverage < 1,
            "finished_at": utc_now(),
        },
        _ENDING,
    )
    screening_id = claimed.ticket.row_id
    if not found.latest:
        screenings.supersede(session, screening_id)
    if claimed.ticket.attempt > 1:  # a first attempt has none before it
        for table in (FlaggedFrame, FaceRow, FaceTrack):
            session.execute(delete(table).where(table.screening_id == screening_id))
    face_ids = faces.add(session, screening_id, result.tracks, result.faces)
    flagged = _insert_flagged(session, screening_id, result.flagged_frames, face_ids)
    if matches or found.match is not None:
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
    if found.listened:
        outbox.screened(session, screening_id)
    return flagged


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
