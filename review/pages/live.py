"""Server-sent events: the queue's counts and the progress of videos, as they change."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import asdict
from threading import Event
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from sqlalchemy import Engine
from starlette.types import Receive, Scope, Send

from core.errors import FacewardenError, TooManyStreams
from review.auth.access import Principal, Viewer
from review.pages.queue_query import BLIND_TABS, tab_counts
from review.resources import Configured, Database
from storage.engine import reading
from storage.queue import listing
from storage.read import progress

router = APIRouter()
log = structlog.get_logger()

LOOK_SECONDS = 1.5  # between looks at the database
COUNTS_SECONDS = 4.0  # the counts are made at most this often, however many pages are open
BEAT_SECONDS = 15.0  # a comment keeps proxies from closing a silent connection
# A stream ends and the browser comes again: whoever was signed out meanwhile is then refused.
LIFE_SECONDS = 120.0
RETRY_MILLISECONDS = 2000
AGAIN_SECONDS = 30  # until a page that was refused asks again, as in live.js
MOST_VIDEOS = 50  # that one page may follow


class Feed:
    """The counts of the queue, shared by all open pages of this process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = asyncio.Lock()
        self._counts: dict[str, str] = {}
        self._made_at = float("-inf")  # time.monotonic()

    async def counts(self) -> dict[str, str]:
        async with self._lock:
            if time.monotonic() - self._made_at >= COUNTS_SECONDS:
                self._counts = await run_in_threadpool(self._make)
                self._made_at = time.monotonic()
            return self._counts

    def _make(self) -> dict[str, str]:
        with reading(self._engine) as session:
            return tab_counts(listing.counts(session))


def _feed(request: Request) -> Feed:
    state = request.app.state
    if not hasattr(state, "feed"):  # in the event loop: nobody comes between
        state.feed = Feed(state.engine)
    feed: Feed = state.feed
    return feed


@router.get("/events")
async def events(
    request: Request,
    engine: Database,
    settings: Configured,
    principal: Viewer,
    video: Annotated[list[int] | None, Query(max_length=MOST_VIDEOS)] = None,
) -> StreamingResponse:
    """`counts` by tab, and `video` for each video asked for; each when it has changed."""
    stream = _changes(_feed(request), engine, principal, video or [], request.app.state.stopping)
    return _Counted(
        stream,
        principal=principal,
        limit=settings.review.streams_per_account,
        media_type="text/event-stream",
        # nginx would hold events back to fill a buffer.
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


class _Counted(StreamingResponse):
    """One of the few streams that an account may have open. Raises TooManyStreams instead of beginning."""

    def __init__(
        self, content: AsyncIterator[str], *, principal: Principal, limit: int, **options: Any
    ) -> None:
        super().__init__(content, **options)
        self._principal, self._limit = principal, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope["app"].state
        if not hasattr(state, "streams"):
            state.streams = Counter()
        opened: Counter[int] = state.streams
        account = self._principal.account_id
        if opened[account] >= self._limit:
            raise TooManyStreams(name=self._principal.name, limit=self._limit, seconds=AGAIN_SECONDS)
        opened[account] += 1
        try:
            await super().__call__(scope, receive, send)
        finally:  # also where the client has left
            opened[account] -= 1


async def _changes(
    feed: Feed, engine: Engine, principal: Principal, videos: list[int], stopping: Event
) -> AsyncIterator[str]:
    yield f"retry: {RETRY_MILLISECONDS}\n\n"
    told: dict[str, str] = {}
    ends = time.monotonic() + LIFE_SECONDS
    beat = time.monotonic()
    while time.monotonic() < ends and not stopping.is_set():
        try:
            found = await _look(feed, engine, principal, videos)
        except FacewardenError as error:
            log.warning("no live news", reason=str(error))
            found = {}
        for key, (event, content) in found.items():
            if told.get(key) != content:
                told[key] = content
                yield f"event: {event}\ndata: {content}\n\n"
                beat = time.monotonic()
        if time.monotonic() - beat >= BEAT_SECONDS:
            yield ": still here\n\n"
            beat = time.monotonic()
        await asyncio.sleep(LOOK_SECONDS)


async def _look(
    feed: Feed, engine: Engine, principal: Principal, videos: list[int]
) -> dict[str, tuple[str, str]]:
    """What there is to tell: by key, the event's name and its JSON."""
    if videos:
        states = await run_in_threadpool(_states, engine, principal, videos)
        return {f"video {state['video_id']}": ("video", json.dumps(state)) for state in states}
    counts = await feed.counts()
    if principal.blind:  # the counts of the other tabs tell nothing of a video, but of how many are flagged
        counts = {tab.key: counts[tab.key] for tab in BLIND_TABS[1:] if tab.key in counts}
    return {"counts": ("counts", json.dumps(counts))}


def _states(engine: Engine, principal: Principal, videos: list[int]) -> list[dict[str, Any]]:
    with reading(engine) as session:
        found = progress.of_videos(session, videos)
    states = [asdict(state) for state in found]
    if principal.blind:
        for state in states:
            # That there is something to explain says that it was flagged.
            del state["verdict"], state["score"], state["flagged"], state["explained"]
    return states
