"""Requests that belong to a trace of their caller, where no spans are collected: its id goes on all the same.

Where they are, FastAPI's own telemetry does this, and makes a span of each request.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from core import traces


class CallersTrace:
    """Middleware that goes on with the trace that a request's `traceparent` names."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        parent = dict(scope.get("headers", [])).get(traces.TRACEPARENT.encode())
        if parent is None:
            await self._app(scope, receive, send)
            return
        with traces.within(parent.decode("latin-1")):
            await self._app(scope, receive, send)
