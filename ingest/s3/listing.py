"""All objects of a place, page by page. Where a process ends, the next goes on: no gap, nothing twice.

A page is done once each of its objects has been committed; then the cursor is. What was taken of a page
before the process ended is known by its sighting when the page is listed again.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import structlog
from sqlalchemy import Engine

from core.priorities import Priority
from core.s3_address import S3Address
from core.settings import Settings
from ingest.registration import Receipt
from ingest.s3.keys import Keys
from storage import source_cursors
from storage.engine import transaction
from storage.objects.s3.bucket import Page
from storage.source_cursors import Cursor
from storage.tables import utc_now
from storage.videos import Sighted

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Step:
    """Some keys that have been dealt with."""

    keys: int
    receipt: Receipt | None = None  # of the one that was taken in
    known: list[Sighted] = field(default_factory=list)  # as they were taken in before


class Listing:
    """Takes in what is new below a prefix."""

    def __init__(self, keys: Keys, prefix: str, engine: Engine, *, name: str, at_once: int) -> None:
        """`name` is the cursor's."""
        self._keys, self._prefix, self._engine = keys, prefix, engine
        self._name, self._at_once = name, at_once

    def steps(
        self, *, resume: bool, priority: Priority, before: Callable[[], None] = lambda: None
    ) -> Iterator[Step]:
        """Go through it once, from where the last process stopped if `resume` is set.

        `before` is called before each object is read, in several threads, and may wait.

        Raises RetryableError if a service is down: the next call goes on from there, with `resume`.
        """
        with transaction(self._engine) as session:
            cursor = source_cursors.open_round(session, self._name, resume=resume)
        with ThreadPoolExecutor(self._at_once, thread_name_prefix="take") as pool:
            while cursor.ended_at is None:
                page = self._keys.bucket.page(self._prefix, after=cursor.after)
                yield from self._taken(page, priority, before, pool)
                cursor = _after(page, cursor)
                with transaction(self._engine) as session:
                    source_cursors.move(session, self._name, cursor)

    def _taken(
        self, page: Page, priority: Priority, before: Callable[[], None], pool: ThreadPoolExecutor
    ) -> Iterator[Step]:
        found = self._keys.sort(page.entries)
        yield Step(keys=len(page.entries) - len(found.wanted), known=found.known)

        def take(index: int) -> Receipt:
            before()
            return self._keys.take(found.wanted[index], priority)

        receipts = [pool.submit(take, index) for index in range(len(found.wanted))]
        try:
            for receipt in receipts:
                yield Step(keys=1, receipt=receipt.result())
        finally:  # the caller stops, or a service is down
            for receipt in receipts:
                receipt.cancel()


def _after(page: Page, cursor: Cursor) -> Cursor:
    last = not page.more or not page.entries
    return Cursor(
        after=page.entries[-1].name if page.entries else cursor.after,
        listed=cursor.listed + len(page.entries),
        ended_at=utc_now() if last else None,
    )


class S3Watcher:
    """Lists a bucket again and again."""

    def __init__(self, settings: Settings, address: S3Address, keys: Keys, engine: Engine) -> None:
        at_once = settings.s3_source.at_once
        name = source_cursors.watching(address)
        self._listing = Listing(keys, address.prefix, engine, name=name, at_once=at_once)
        self._pause = settings.s3_source.list_seconds
        self._due = 0.0  # time.monotonic()

    def look(self) -> Iterator[Step]:
        """Goes through the bucket if it is time to. Raises RetryableError if a service is down."""
        began = time.monotonic()
        if began < self._due:
            return
        yield from self._listing.steps(resume=True, priority=Priority.NORMAL)
        ended = time.monotonic()
        # Listing a bucket of very many objects must not go on all the time.
        self._due = ended + max(self._pause, ended - began)
