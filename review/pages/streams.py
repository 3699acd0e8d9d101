"""/streams: the live streams, and one of them as it is watched."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import Engine

from core.errors import FacewardenError, PermanentError
from core.outgoing import LONGEST_URL
from core.settings import Settings
from review.api.streams import asked_for
from review.auth.access import Principal, Uploader, Viewer
from review.pages.live import stream_state
from review.pages.stream_view import curve
from review.problems import status_of
from review.rendering import page
from review.resources import Configured, Database, Id, Key
from storage.engine import reading, transaction
from storage.streams import requests

router = APIRouter()

PAGE = 50
MOST_ALERTS = 50  # that a page shows


@router.get("/streams")
def streams_page(
    request: Request,
    engine: Database,
    settings: Configured,
    principal: Viewer,
    before: Annotated[Key | None, Query()] = None,
) -> Response:
    """All streams, and a form to have another one watched."""
    return _list(request, engine, settings, principal, before=before)


def _list(
    request: Request,
    engine: Engine,
    settings: Settings,
    principal: Principal,
    *,
    before: int | None = None,
    error: FacewardenError | None = None,
    typed: tuple[str, str] = ("", ""),
) -> Response:
    with reading(engine) as session:
        found = requests.page(session, before=before, limit=PAGE + 1)
    return page(
        request,
        "streams.html",
        principal=principal,
        status_code=200 if error is None else status_of(error),
        streams=found[:PAGE],
        older=found[PAGE - 1].id if len(found) > PAGE else None,
        enabled=settings.streams.enabled,
        error="" if error is None else str(error),
        typed=typed,  # address and name, where they were refused
    )


@router.post("/streams")
def watch(
    request: Request,
    engine: Database,
    settings: Configured,
    principal: Uploader,
    url: Annotated[str, Form(min_length=1, max_length=LONGEST_URL)],
    name: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """Have a stream watched."""
    try:
        view = asked_for(engine, settings, url.strip(), name.strip() or None, actor=principal.name)
    except PermanentError as error:
        return _list(request, engine, settings, principal, error=error, typed=(url, name))
    return RedirectResponse(f"/streams/{view.id}", status_code=303)


@router.get("/streams/{stream_id}")
def stream_page(request: Request, engine: Database, principal: Viewer, stream_id: Id) -> Response:
    """One stream: its curve, its faces, its alerts."""
    with reading(engine) as session:
        state = stream_state(session, stream_id)  # before what is shown: rather told twice than never
    return _stream(request, engine, principal, stream_id, "stream.html", state=state)


@router.get("/streams/{stream_id}/live")
def stream_now(request: Request, engine: Database, principal: Viewer, stream_id: Id) -> Response:
    """The part of the page that changes every few seconds."""
    return _stream(request, engine, principal, stream_id, "stream_live.html")


@router.get("/streams/{stream_id}/alerts")
def stream_alerts(request: Request, engine: Database, principal: Viewer, stream_id: Id) -> Response:
    """The part of the page that changes with each alert: a clip that plays must not be torn away."""
    return _stream(request, engine, principal, stream_id, "stream_alerts.html")


@router.post("/streams/{stream_id}/stop")
def stop(engine: Database, principal: Uploader, stream_id: Id) -> Response:
    """Stop watching."""
    with transaction(engine) as session:
        requests.stop(session, stream_id, actor=principal.name)
    return RedirectResponse(f"/streams/{stream_id}", status_code=303)


def _stream(
    request: Request, engine: Engine, principal: Principal, stream_id: int, template: str, **more: Any
) -> Response:
    with reading(engine) as session:
        stream = requests.get(session, stream_id)
        alerts = requests.alerts(session, stream_id, limit=MOST_ALERTS)
    return page(
        request,
        template,
        principal=principal,
        stream=stream,
        alerts=alerts,
        curve=curve(stream.now, alerts, stream.position_seconds),
        **more,
    )
