"""Streams as people and services ask for them: begun, stopped, listed, looked at."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.errors import Conflict, NotFound
from core.outgoing import Guard
from core.streams import StreamStatus
from storage import audit
from storage.clock import database_now
from storage.tables import LiveStream, StreamAlert, StreamEvidence
from storage.values import of_row

MOST_OPEN = 1000  # streams that wait or are watched, so that nobody fills the table


@dataclass(frozen=True, kw_only=True)
class FrameView:
    """A frame of an alert."""

    id: int
    time_seconds: float
    score: float
    box: list[float]
    frame_width: int
    frame_height: int


@dataclass(frozen=True, kw_only=True)
class AlertView:
    id: int
    stream_id: int
    track_number: int
    start_seconds: float
    end_seconds: float
    raised_seconds: float
    raised_at: datetime
    over: bool
    peak_score: float
    model_version: str
    has_clip: bool
    frames: list[FrameView] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class StreamView:
    """A stream without its address, whose query may hold a key."""

    id: int
    name: str
    status: StreamStatus
    stop_asked: bool
    created_by: str
    created_at: datetime
    started_at: datetime | None
    seen_at: datetime | None
    ended_at: datetime | None
    error_code: str | None
    error_message: str | None
    model_version: str | None
    position_seconds: float
    coverage: float | None  # [0, 1]; None before anything came
    alerts: int
    open_alerts: int  # of these, not over yet
    now: dict[str, Any] | None  # core.streams.StreamNow, as stored


def add(session: Session, *, url: str, name: str | None, guard: Guard, actor: str) -> StreamView:
    """Ask for a stream to be watched. Raises UnsafeAddress, Conflict where too many are."""
    target = guard.target(url)
    running = session.scalar(
        select(func.count()).where(LiveStream.status.in_((StreamStatus.WAITING, StreamStatus.WATCHING)))
    )
    if (running or 0) >= MOST_OPEN:
        raise Conflict(
            what="The stream", key=target.name, reason=f"{MOST_OPEN} are watched or wait; stop some first"
        )
    row = LiveStream(url=url, name=name or target.name, created_by=actor)
    session.add(row)
    session.flush()
    audit.record(
        session,
        actor=actor,
        action="stream.requested",
        subject=str(row.id),
        address=target.name,
        name=row.name,
    )
    return get(session, row.id)


def stop(session: Session, stream_id: int, *, actor: str) -> StreamView:
    """Ask for a stream to be stopped; one that is over stays as it is. Raises NotFound."""
    row = session.get(LiveStream, stream_id, with_for_update=True)
    if row is None:
        raise NotFound(what="A stream with the number", key=stream_id)
    if not StreamStatus(row.status).over and not row.stop_asked:
        row.stop_asked = True
        if row.status == StreamStatus.WAITING:  # no worker has it that could
            row.status, row.ended_at = StreamStatus.STOPPED, database_now(session)
        audit.record(session, actor=actor, action="stream.stop_requested", subject=str(stream_id))
        session.flush()
    return get(session, stream_id)


def get(session: Session, stream_id: int) -> StreamView:
    """Raises NotFound."""
    found = _views(session, select(LiveStream).where(LiveStream.id == stream_id))
    if not found:
        raise NotFound(what="A stream with the number", key=stream_id)
    return found[0]


def page(session: Session, *, before: int | None = None, limit: int = 50) -> list[StreamView]:
    """The newest first; `before` is the last number of the page before."""
    query = select(LiveStream).order_by(LiveStream.id.desc()).limit(limit)
    return _views(session, query if before is None else query.where(LiveStream.id < before))


def alerts(
    session: Session, stream_id: int, *, before: int | None = None, limit: int = 100
) -> list[AlertView]:
    """The newest first, each with its frames."""
    query = select(StreamAlert).where(StreamAlert.stream_id == stream_id)
    if before is not None:
        query = query.where(StreamAlert.id < before)
    rows = session.scalars(query.order_by(StreamAlert.id.desc()).limit(limit)).all()
    frames: dict[int, list[FrameView]] = defaultdict(list)
    wanted = [row.id for row in rows]
    for frame in session.scalars(
        select(StreamEvidence).where(StreamEvidence.alert_id.in_(wanted)).order_by(StreamEvidence.rank)
    ):
        frames[frame.alert_id].append(of_row(FrameView, frame))
    return [
        of_row(
            AlertView,
            row,
            model_version=row.model_version_id,
            has_clip=row.clip_key is not None,
            frames=frames[row.id],
        )
        for row in rows
    ]


def frame_keys(session: Session, frame_id: int) -> tuple[str, str]:
    """The objects of a frame and its crop. Raises NotFound."""
    row = session.get(StreamEvidence, frame_id)
    if row is None:
        raise NotFound(what="A frame of an alert with the number", key=frame_id)
    return row.image_key, row.crop_key


def clip_key(session: Session, alert_id: int) -> str:
    """The object of an alert's clip. Raises NotFound."""
    row = session.get(StreamAlert, alert_id)
    if row is None or row.clip_key is None:
        raise NotFound(what="A clip of the alert with the number", key=alert_id)
    return row.clip_key


def clips(session: Session, stream_id: int) -> int:
    """How many alerts of a stream have a clip."""
    query = select(func.count()).where(StreamAlert.stream_id == stream_id, StreamAlert.clip_key.is_not(None))
    return session.scalar(query) or 0


def _views(session: Session, query: Any) -> list[StreamView]:
    rows = list(session.scalars(query.execution_options(populate_existing=True)))
    counted = session.execute(
        select(StreamAlert.stream_id, StreamAlert.over, func.count())
        .where(StreamAlert.stream_id.in_([row.id for row in rows]))
        .group_by(StreamAlert.stream_id, StreamAlert.over)
    )
    counts = {(stream_id, bool(over)): count for stream_id, over, count in counted}
    return [
        of_row(
            StreamView,
            row,
            status=StreamStatus(row.status),
            model_version=row.model_version_id,
            coverage=min(1.0, row.seen_seconds / row.position_seconds) if row.position_seconds else None,
            alerts=counts.get((row.id, True), 0) + counts.get((row.id, False), 0),
            open_alerts=counts.get((row.id, False), 0),
            now=row.view,
        )
        for row in rows
    ]
