"""Erasing a video for good, and legal hold, which forbids it.

Everything goes: the file and its pictures in the object store, every row, the hashes, the kept answers to its
upload. What stays is the hash of the content, so that the same file is not taken in again by the next look at
a bucket, and an entry of the audit log that names nothing but that hash.

The rows go first, in one transaction. Objects that a crash leaves behind are the sweep's (storage.sweep).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, delete, func, or_, select, update
from sqlalchemy.orm import Session

from core.errors import Conflict, ContentErased, NotFound
from storage import audit
from storage.engine import reading, transaction
from storage.objects.store import ObjectStore
from storage.sweep import COLUMNS, keys_of
from storage.tables import (
    Decision,
    DirectUploadRow,
    Erasure,
    ExplanationRow,
    FlaggedFrame,
    FrameHashRow,
    KeptAnswer,
    KnownMatch,
    ReviewClaim,
    ReviewSkip,
    Screening,
    Sighting,
    Video,
    WebhookDelivery,
    WebhookEvent,
    utc_now,
)

LONGEST_REASON = 500  # characters


@dataclass(frozen=True, kw_only=True)
class Erased:
    video_id: int
    sha256: str
    screenings: int
    objects: int  # that were its own
    bytes: int


def erase(engine: Engine, objects: ObjectStore, video_id: int, *, reason: str, actor: str) -> Erased:
    """Erase everything of one video.

    A worker that has it at that moment finds its attempt gone, and drops its result. Raises NotFound, and
    Conflict where the video is under legal hold.
    """
    began = objects.now()
    with transaction(engine) as session:
        video = locked(session, video_id)
        _refuse_held(video)
        keys = {video.object_key, *_pictures(session, video_id)}
        screenings = _remove_rows(session, video)
        session.merge(Erasure(sha256=video.sha256, reason=reason, at=utc_now()))
        audit.record(
            session,
            actor=actor,
            action="video.erased",
            subject=video.sha256,
            reason=reason,
            screenings=screenings,
            objects=len(keys),
        )
        sha256 = video.sha256
    sizes = discard(engine, objects, keys, older_than=began)
    return Erased(
        video_id=video_id, sha256=sha256, screenings=screenings, objects=len(sizes), bytes=sum(sizes)
    )


def check(session: Session, video_id: int) -> None:
    """Raises what `erase` would raise now."""
    _refuse_held(_video(session, video_id))


def _refuse_held(video: Video) -> None:
    if video.hold is not None:
        reason = f"it is under legal hold ({video.hold}); lift the hold first"
        raise Conflict(what="Video", key=video.id, reason=reason)


def locked(session: Session, video_id: int) -> Video:
    """The video's row, locked until the transaction ends. Raises NotFound."""
    return _video(session, video_id, locked=True)


def _video(session: Session, video_id: int, *, locked: bool = False) -> Video:
    video = session.get(Video, video_id, with_for_update=locked)
    if video is None:
        raise NotFound(what="Video", key=video_id)
    return video


def _pictures(session: Session, video_id: int) -> list[str]:
    """The keys of flagged frames, crops and overlays, and of posters."""
    posters = session.scalars(select(Screening.poster_key).where(Screening.video_id == video_id))
    of_it = FlaggedFrame.screening_id.in_(select(Screening.id).where(Screening.video_id == video_id))
    frames = session.execute(select(FlaggedFrame.image_key, FlaggedFrame.crop_key).where(of_it))
    overlays = session.scalars(
        select(ExplanationRow.overlays)
        .join(FlaggedFrame, FlaggedFrame.id == ExplanationRow.flagged_frame_id)
        .where(of_it)
    )
    return keys_of([*(key for row in frames for key in row), *overlays, *posters])


def erase_faces(session: Session, video_id: int) -> list[str]:
    """Delete the flagged frames of a video, their explanations, and its posters; returns the keys of their
    objects."""
    keys = _pictures(session, video_id)
    of_it = select(Screening.id).where(Screening.video_id == video_id)
    session.execute(delete(FlaggedFrame).where(FlaggedFrame.screening_id.in_(of_it)))
    session.execute(update(Screening).where(Screening.video_id == video_id).values(poster_key=None))
    return keys


def _remove_rows(session: Session, video: Video) -> int:
    """Every row about the video; returns how many screenings there were."""
    for table in (Decision, ReviewClaim, ReviewSkip, Sighting, FrameHashRow):
        wanted: Any = table
        session.execute(delete(table).where(wanted.video_id == video.id))
    matches = or_(KnownMatch.video_id == video.id, KnownMatch.other_video_id == video.id)
    session.execute(delete(KnownMatch).where(matches))
    told = select(WebhookDelivery.event_id).where(WebhookDelivery.video_id == video.id)
    session.execute(delete(WebhookEvent).where(WebhookEvent.id.in_(told)))
    for by_content in (KeptAnswer, DirectUploadRow):
        of_content: Any = by_content
        session.execute(delete(by_content).where(of_content.sha256 == video.sha256))
    found = session.scalars(select(Screening.id).where(Screening.video_id == video.id)).all()
    session.execute(delete(Screening).where(Screening.video_id == video.id))
    session.execute(delete(Video).where(Video.id == video.id))
    return len(found)


def discard(engine: Engine, objects: ObjectStore, keys: Iterable[str], *, older_than: float) -> list[int]:
    """Remove objects that no row names any more, last stored before `older_than`; returns their sizes."""
    left = {key for key in keys if key} - _named(engine, set(keys))
    sizes = [objects.discard(key, older_than=older_than) for key in sorted(left)]
    return [size for size in sizes if size is not None]


def _named(engine: Engine, keys: set[str]) -> set[str]:
    """Those of the keys that a row names, with the overlays of all explanations of a crop among the keys.

    An overlay is drawn over its crop and nothing in it is left to chance, so another file of the same footage
    has the very same one. Found by the crop, it takes no look at all explanations.
    """
    found: set[str] = set()
    with reading(engine) as session:
        for table, columns in COLUMNS.items():
            if table is ExplanationRow:
                continue
            for column in (getattr(table, name) for name in columns):
                found.update(session.scalars(select(column).where(column.in_(keys))))
        overlays = (
            select(ExplanationRow.overlays)
            .join(FlaggedFrame, FlaggedFrame.id == ExplanationRow.flagged_frame_id)
            .where(FlaggedFrame.crop_key.in_(keys))
        )
        found.update(keys_of(session.scalars(overlays).all()))
    return found


def of_source(session: Session, source: str) -> list[int]:
    """The videos that were seen in this source and in no other."""
    elsewhere = select(Sighting.video_id).where(Sighting.source != source, Sighting.video_id.is_not(None))
    rows = session.scalars(
        select(Sighting.video_id)
        .where(Sighting.source == source, Sighting.video_id.is_not(None))
        .where(Sighting.video_id.not_in(elsewhere))
        .distinct()
        .order_by(Sighting.video_id)
    )
    return [number for number in rows if number is not None]


def refuse_erased(session: Session, sha256: str, name: str) -> None:
    """Raises ContentErased where content of this hash was erased."""
    row = session.get(Erasure, sha256)
    if row is not None:
        raise ContentErased(name=name, at=f"{row.at:%Y-%m-%d}", sha256=sha256)


def changes(session: Session) -> tuple[int, datetime | None]:
    """Differs once content was erased or let in again."""
    number, newest = session.execute(select(func.count(), func.max(Erasure.at))).one()
    return number, newest


def readmit(session: Session, sha256: str, *, actor: str) -> None:
    """Let content that was erased be taken in again. Raises NotFound."""
    row = session.get(Erasure, sha256)
    if row is None:
        raise NotFound(what="Erased content", key=sha256)
    session.delete(row)
    # Otherwise the bucket's file would be passed over as one that was refused.
    session.execute(
        delete(Sighting).where(Sighting.video_id.is_(None), Sighting.error_code == ContentErased.code)
    )
    audit.record(session, actor=actor, action="video.readmitted", subject=sha256)


def hold(session: Session, video_id: int, *, reason: str | None, actor: str) -> None:
    """Put a video under legal hold, or lift it (None). Until then nothing of it is erased.

    Raises NotFound, and Conflict where it is held for another reason: whoever lifts the later one would free
    what the earlier one keeps.
    """
    video = locked(session, video_id)
    if video.hold == reason:
        return
    if None not in (video.hold, reason):
        raise Conflict(what="Video", key=video_id, reason=f"it is under legal hold already ({video.hold})")
    video.hold = reason
    action = "video.held" if reason is not None else "video.released"
    audit.record(session, actor=actor, action=action, subject=video.sha256, reason=reason)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What becomes of a video's data."""

    hold: str | None  # why nothing of it may be erased
    original_erased_at: datetime | None
    faces_erased_at: datetime | None


def kept(session: Session, video_id: int) -> Kept:
    """Raises NotFound."""
    video = _video(session, video_id)
    return Kept(
        hold=video.hold,
        original_erased_at=video.original_erased_at,
        faces_erased_at=video.faces_erased_at,
    )
