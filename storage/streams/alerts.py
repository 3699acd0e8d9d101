"""Alerts of live streams, with the frames and the clip that are kept of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, delete, exists, or_, select, update
from sqlalchemy.orm import Session

from storage import clock
from storage.tables import StreamAlert, StreamEvidence
from storage.webhooks import outbox


@dataclass(frozen=True, kw_only=True)
class StoredFrame:
    """A frame of evidence whose pictures are in the object store."""

    time_seconds: float  # stream time
    score: float  # [0, 1]
    box: tuple[float, float, float, float]
    frame_size: tuple[int, int]
    image_key: str
    crop_key: str


@dataclass(frozen=True, kw_only=True)
class Raised:
    """What a worker has to tell of an incident: that it began, goes on or is over."""

    track: int
    start_seconds: float
    end_seconds: float
    raised_seconds: float
    peak_score: float
    over: bool
    frames: Sequence[StoredFrame] = ()
    clip_key: str | None = None


def outlived(days: int) -> Select[int]:
    """The ids of the alerts that are over, older than so many days, and have frames or a clip still."""
    old: Any = StreamAlert.raised_at < clock.after(-days * clock.DAY_SECONDS)
    framed = exists().where(StreamEvidence.alert_id == StreamAlert.id)
    pictured = or_(StreamAlert.clip_key.is_not(None), framed)
    return select(StreamAlert.id).where(StreamAlert.over, old, pictured).order_by(StreamAlert.id)


def erase_evidence(session: Session, alert_id: int) -> list[str]:
    """Let go of an alert's frames and clip; what it says stays. Returns the keys of their objects."""
    row = session.get_one(StreamAlert, alert_id)
    frames = session.execute(
        delete(StreamEvidence)
        .where(StreamEvidence.alert_id == alert_id)
        .returning(StreamEvidence.image_key, StreamEvidence.crop_key)
    ).all()
    keys = [key for frame in frames for key in frame]
    if row.clip_key is not None:
        keys.append(row.clip_key)
        row.clip_key = None
    return keys


def write(session: Session, stream_id: int, name: str, raised: Raised, *, model_version: str) -> None:
    """Store an alert and tell the webhooks of it, or bring the one that is stored up to date."""
    row = session.scalar(
        select(StreamAlert).where(
            StreamAlert.stream_id == stream_id,
            StreamAlert.track_number == raised.track,
            StreamAlert.raised_seconds == raised.raised_seconds,
        )
    )
    if row is None:
        row = StreamAlert(
            stream_id=stream_id,
            track_number=raised.track,
            start_seconds=raised.start_seconds,
            end_seconds=raised.end_seconds,
            raised_seconds=raised.raised_seconds,
            peak_score=raised.peak_score,
            over=raised.over,
            model_version_id=model_version,
            clip_key=raised.clip_key,
        )
        session.add(row)
        session.flush()
        session.add_all(
            StreamEvidence(
                alert_id=row.id,
                rank=rank,
                time_seconds=frame.time_seconds,
                score=frame.score,
                box=list(frame.box),
                frame_width=frame.frame_size[0],
                frame_height=frame.frame_size[1],
                image_key=frame.image_key,
                crop_key=frame.crop_key,
            )
            for rank, frame in enumerate(raised.frames)
        )
        outbox.alerted(session, row, name)
        return
    row.end_seconds, row.peak_score, row.over = raised.end_seconds, raised.peak_score, raised.over
    row.clip_key = raised.clip_key or row.clip_key


def close_all(session: Session, stream_id: int) -> None:
    """Nobody watches any more: what was told is over."""
    session.execute(
        update(StreamAlert).where(StreamAlert.stream_id == stream_id, ~StreamAlert.over).values(over=True)
    )
