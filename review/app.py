"""The review service: one FastAPI application on the shared database."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from core import traces
from core.settings import Settings
from ingest.by_url import Fetcher
from review import admin, api, pages
from review.api.answers import media_origin
from review.api.document import document
from review.auth import account, confirmation, oidc, sign_in
from review.auth.access import Viewer
from review.auth.oidc_provider import Provider
from review.callers_trace import CallersTrace
from review.headers import SecurityHeaders
from review.hosts import TrustedHosts
from review.pressure import Pressure
from review.problems import add_handlers
from storage.engine import connect
from storage.objects.choice import open_store

# Limit of a request's body. The upload routes, which read the body in pieces once they know who sends it, set
# a larger one.
BODY_BYTES = 1024**2


def create_app(settings: Settings) -> FastAPI:
    """The whole service for `settings`.

    `app.state` holds the settings, the engine, the object store, how much is taken in, and an event that is
    set on shutdown.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        app.state.engine.dispose()

    app = FastAPI(
        title="Facewarden",
        version=version("facewarden"),
        description="Screened videos, their explanations, and what reviewers decide.",
        docs_url=None,  # they load scripts from other hosts
        redoc_url=None,
        openapi_url=None,  # served below, to those who may see it
        lifespan=lifespan,
        max_body_size=BODY_BYTES,
        # The spans of requests go where ours go; nothing is read from the environment.
        telemetry={
            "tracer_provider": traces.provider(),
            "metrics": False,
            "logs": False,
            "auto_configure": False,
        },
    )
    app.state.settings = settings
    app.state.engine = connect(settings.sql_url)
    app.state.objects = open_store(settings)
    app.state.pressure = Pressure(settings)
    app.state.fetcher = Fetcher(settings, app.state.engine, app.state.objects)
    app.state.oidc = Provider(settings.oidc) if settings.oidc.issuer else None
    app.state.stopping = threading.Event()  # ends the streams of live updates
    if traces.provider() is None:
        app.add_middleware(CallersTrace)
    app.add_middleware(TrustedHosts, review=settings.review)
    origin = media_origin(app.state.objects)
    app.add_middleware(SecurityHeaders, https=settings.review.https, media_origin=origin)
    add_handlers(app)
    _add_own_routes(app)
    for part in (sign_in, oidc, confirmation, account, admin, api, pages):
        app.include_router(part.router)
    return app


def _add_own_routes(app: FastAPI) -> None:
    @app.get("/healthz", include_in_schema=False)
    def healthy() -> dict[str, str]:
        """Says that the process answers, and nothing more, since anybody may ask."""
        return {"status": "ok"}

    @app.get("/", include_in_schema=False)
    def front_door(principal: Viewer) -> Response:
        del principal
        return RedirectResponse("/queue", status_code=303)

    @app.get("/v1/openapi.json", include_in_schema=False)
    def openapi(request: Request, principal: Viewer) -> JSONResponse:
        """The description of this API."""
        del principal
        return JSONResponse(document(request.app))
