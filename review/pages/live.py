"""Server-sent events: the queue's counts and the progress of videos, as they change."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from core.errors import FacewardenError, TooManyStreams
from review.auth.access import Principal, Viewer
from review.pages.queue_query import BLIND_TABS, tab_counts
from review.resources import Configured, Database, Key
from storage.engine import reading
from storage.queue import listing
from storage.read import progress
from storage.streams import requests

router = APIRouter()
log = structlog.get_logger()

LOOK_SECONDS = 1.5  # between queries of the database
COUNTS_SECONDS = 4.0  # minimum time between counts, however many pages are open
# A stream ends and the browser reconnects; whoever has been signed out meanwhile is then refused.
LIFE_SECONDS = 120.0
RETRY_MILLISECONDS = 2000
AGAIN_SECONDS = 30  # before a refused page retries, as in live.js
MOST_VIDEOS = 50  # that one page can follow


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
    if not hasattr(state, "feed"):  # no race: this runs in the event loop
        state.feed = Feed(state.engine)
    feed: Feed = state.feed
    return feed


async def _place(request: Request, settings: Configured, principal: Viewer) -> AsyncIterator[None]:
    """Take one of the streams that an account may have open. Raises TooManyStreams if none is left."""
    state, account, limit = request.app.state, principal.account_id, settings.review.streams_per_account
    if not hasattr(state, "streams"):
        state.streams = Counter()
    opened: Counter[int] = state.streams
    if opened[account] >= limit:
        raise TooManyStreams(name=principal.name, limit=limit, seconds=AGAIN_SECONDS)
    opened[account] += 1
    try:
        yield
    finally:  # also when the client disconnects
        opened[account] -= 1


@router.get("/events", response_class=EventSourceResponse, dependencies=[Depends(_place)])
async def events(
    request: Request,
    engine: Database,
    principal: Viewer,
    video: Annotated[list[Key] | None, Query(max_length=MOST_VIDEOS)] = None,
    stream: Annotated[Key | None, Query()] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Sends `counts` by tab, or `video` for each requested video, or `stream`, whenever they change."""
    feed, stopping = _feed(request), request.app.state.stopping
    yield ServerSentEvent(retry=RETRY_MILLISECONDS)
    told: dict[str, ServerSentEvent] = {}
    ends = time.monotonic() + LIFE_SECONDS
    while time.monotonic() < ends and not stopping.is_set():
        try:
            found = await _look(feed, engine, principal, video or [], stream)
        except FacewardenError as error:
            log.warning("no live updates", reason=str(error))
            found = {}
        for key, event in found.items():
            if told.get(key) != event:
                told[key] = event
                yield event
        await asyncio.sleep(LOOK_SECONDS)


async def _look(
    feed: Feed, engine: Engine, principal: Principal, videos: list[int], stream: int | None
) -> dict[str, ServerSentEvent]:
    """The current events, by subject."""
    if stream is not None:
        state = await run_in_threadpool(_read, engine, lambda session: stream_state(session, stream))
        return {"stream": ServerSentEvent(event="stream", data=state)}
    if videos:
        states = await run_in_threadpool(
            _read, engine, lambda session: video_states(session, videos, blind=principal.blind)
        )
        return {f"video {state['video_id']}": ServerSentEvent(event="video", data=state) for state in states}
    counts = await feed.counts()
    if principal.blind:  # the other counts would tell how many videos are flagged
        counts = {tab.key: counts[tab.key] for tab in BLIND_TABS[1:] if tab.key in counts}
    return {"counts": ServerSentEvent(event="counts", data=counts)}


def _read(engine: Engine, look: Callable[[Session], Any]) -> Any:
    with reading(engine) as session:
        return look(session)


# A page is rendered with the state that it shows, since events tell nothing of what changed before the first.


def stream_state(session: Session, stream_id: int) -> dict[str, Any]:
    """By what an open page sees that it has to ask for its parts again."""
    found = requests.get(session, stream_id)
    return {
        "status": found.status.value,
        "seen_at": f"{found.seen_at} {found.status} {found.stop_asked}",
        "alerts": found.alerts,
        "open_alerts": found.open_alerts,
        "clips": requests.clips(session, stream_id),
    }


def video_states(session: Session, videos: Sequence[int], *, blind: bool) -> list[dict[str, Any]]:
    """The progress of those of the videos that exist, without what a blind reviewer may not know."""
    states = [asdict(state) for state in progress.of_videos(session, videos)]
    if blind:
        for state in states:
            # Having something to explain would reveal that it was flagged.
            del state["verdict"], state["score"], state["flagged"], state["explained"]
    return states
