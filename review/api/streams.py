"""Live streams: asked for, stopped, looked at, with their alerts and evidence."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Engine

from core.errors import StreamsOff
from core.outgoing import LONGEST_URL
from core.settings import Settings
from core.streams import StreamNow, StreamStatus
from review.api.answers import UNCHANGED, stored
from review.api.media import JPEG, PNG, Width, shrunk
from review.auth.access import Uploader, Viewer
from review.problem_schema import Responses, problems
from review.resources import Configured, Database, Id, Key, Objects
from review.uploads import plain_words
from storage.engine import reading, transaction
from storage.streams import requests
from storage.streams.requests import StreamView

router = APIRouter(tags=["streams"])

PAGE = 50
MP4: Responses = {200: {"content": {"video/mp4": {}}, "description": "An MP4."}}
RANGES: dict[int | str, dict[str, Any]] = {
    206: {"content": {"video/mp4": {}}, "description": "The requested range."},
    416: {"content": {"text/plain": {}}, "description": "The range does not exist."},
}


class StreamRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: str = Field(
        max_length=LONGEST_URL,
        description="A public address: an HLS playlist, or `rtmp://…`. It is not shown again.",
    )
    name: str | None = Field(
        None, max_length=500, description="What people call it; by default the address without its query."
    )


class Stream(BaseModel):
    """A live stream. Its times are seconds of stream time, 0 where watching began."""

    id: int
    name: str
    status: StreamStatus
    stop_asked: bool = Field(description="Whether somebody wants it to stop.")
    created_by: str
    created_at: datetime
    started_at: datetime | None
    seen_at: datetime | None = Field(description="When a worker last reported.")
    ended_at: datetime | None
    error_code: str | None
    error_message: str | None
    model_version: str | None
    position_seconds: float = Field(description="Up to where it has been watched.")
    coverage: float | None = Field(description="Of that, the share that was seen, in [0, 1].")
    alerts: int
    open_alerts: int = Field(description="Alerts that are not over yet.")
    now: StreamNow | None = Field(description="How it is, as its worker last said.")


class Streams(BaseModel):
    streams: list[Stream]
    next_before: int | None = Field(description="The `before` of the next page; null on the last.")


class AlertFrame(BaseModel):
    id: int
    time_seconds: float
    score: float
    box: list[float] = Field(description="x0, y0, x1, y1 in pixels of the frame.")
    frame_width: int
    frame_height: int


class Alert(BaseModel):
    """A face that looked fake for a while."""

    id: int
    stream_id: int
    track_number: int
    start_seconds: float
    end_seconds: float = Field(description="So far, until it is over.")
    raised_seconds: float = Field(description="When it was noticed.")
    raised_at: datetime
    over: bool
    peak_score: float
    model_version: str
    has_clip: bool
    frames: list[AlertFrame] = Field(description="The most suspicious first.")


class Alerts(BaseModel):
    alerts: list[Alert]
    next_before: int | None = Field(description="The `before` of the next page; null on the last.")


Before = Annotated[Key | None, Query(description="`next_before` of the page before.")]


@router.post("/streams", status_code=201, responses=problems(409))
def watch_stream(
    engine: Database, settings: Configured, principal: Uploader, body: StreamRequest, response: Response
) -> Stream:
    """Have a live stream watched; a worker takes it up within seconds.

    Refused with `streams_off` unless FACEWARDEN_STREAMS__ENABLED is set. Only public addresses are watched.
    """
    view = asked_for(engine, settings, body.url, body.name, actor=principal.name)
    response.headers["Location"] = f"/v1/streams/{view.id}"
    return Stream(**asdict(view))


def asked_for(engine: Engine, settings: Settings, url: str, name: str | None, *, actor: str) -> StreamView:
    """A stream that is to be watched from now on. Raises StreamsOff, UnsafeAddress, Conflict."""
    if not settings.streams.enabled:
        raise StreamsOff
    known_as = plain_words(name or "")[:255].strip() or None
    with transaction(engine) as session:
        return requests.add(session, url=url, name=known_as, guard=settings.streams.guard, actor=actor)


@router.get("/streams", responses=problems())
def list_streams(engine: Database, principal: Viewer, before: Before = None) -> Streams:
    """All streams, the newest first."""
    del principal
    with reading(engine) as session:
        found = requests.page(session, before=before, limit=PAGE + 1)
    return Streams(
        streams=[Stream(**asdict(each)) for each in found[:PAGE]],
        next_before=found[PAGE - 1].id if len(found) > PAGE else None,
    )


@router.get("/streams/{stream_id}", responses=problems(404))
def get_stream(engine: Database, principal: Viewer, stream_id: Id) -> Stream:
    """One stream: how it is, its faces of the last half minute, its curve of the last minutes."""
    del principal
    with reading(engine) as session:
        return Stream(**asdict(requests.get(session, stream_id)))


@router.delete("/streams/{stream_id}", responses=problems(404))
def stop_stream(engine: Database, principal: Uploader, stream_id: Id) -> Stream:
    """Stop watching; what was found stays. Its worker notices within seconds."""
    with transaction(engine) as session:
        return Stream(**asdict(requests.stop(session, stream_id, actor=principal.name)))


@router.get("/streams/{stream_id}/alerts", responses=problems(404))
def list_alerts(engine: Database, principal: Viewer, stream_id: Id, before: Before = None) -> Alerts:
    """The alerts of a stream, the newest first."""
    del principal
    with reading(engine) as session:
        requests.get(session, stream_id)
        found = requests.alerts(session, stream_id, before=before, limit=PAGE + 1)
    return Alerts(
        alerts=[Alert(**asdict(each)) for each in found[:PAGE]],
        next_before=found[PAGE - 1].id if len(found) > PAGE else None,
    )


@router.get(
    "/alert-frames/{alert_frame_id}/image",
    response_class=Response,
    responses={**JPEG, **UNCHANGED, **problems(404)},
)
def get_alert_frame(
    request: Request,
    engine: Database,
    objects: Objects,
    principal: Viewer,
    alert_frame_id: Id,
    width: Width = 640,
) -> Response:
    """A whole frame of an alert, scaled down."""
    del principal
    with reading(engine) as session:
        image, _ = requests.frame_keys(session, alert_frame_id)
    return shrunk(request, objects, image, width)


@router.get(
    "/alert-frames/{alert_frame_id}/crop",
    response_class=Response,
    responses={**PNG, **UNCHANGED, **problems(404)},
)
def get_alert_crop(
    request: Request, engine: Database, objects: Objects, principal: Viewer, alert_frame_id: Id
) -> Response:
    """Exactly the pixels that were classified."""
    del principal
    with reading(engine) as session:
        _, crop = requests.frame_keys(session, alert_frame_id)
    return stored(request, objects, crop, media_type="image/png")


@router.get(
    "/stream-alerts/{alert_id}/clip",
    response_class=Response,
    responses={**MP4, **RANGES, **UNCHANGED, **problems(404)},
)
def get_clip(
    request: Request, engine: Database, objects: Objects, principal: Viewer, alert_id: Id
) -> Response:
    """The stream around an alert, as it came, as MP4."""
    del principal
    with reading(engine) as session:
        key = requests.clip_key(session, alert_id)
    return stored(request, objects, key, media_type="video/mp4", filename=f"alert-{alert_id}.mp4")
