"""All objects of a place, page by page. Where a process ends, the next goes on: no gap, nothing twice.

A page is done once each of its objects has been committed; then the cursor is. What was taken of a page
before the process ended is known by its sighting when the page is listed again.
"""

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from sqlalchemy import Engine

from core.priorities import Priority
from core.s3_address import S3Address
from core.settings import Settings
from ingest.registration import Receipt
from ingest.s3.keys import Keys
from ingest.steps import Gate, Step, open_gate
from storage import source_cursors
from storage.engine import reading, transaction
from storage.objects.s3.bucket import Page
from storage.source_cursors import Cursor
from storage.tables import utc_now


class Listing:
    """Takes in what is new below a prefix."""

    def __init__(self, keys: Keys, prefix: str, engine: Engine, *, name: str, at_once: int) -> None:
        """`name` is the cursor's."""
        self._keys, self._prefix, self._engine = keys, prefix, engine
        self._name, self._at_once = name, at_once

    def steps(self, *, resume: bool, priority: Priority, before: Gate = open_gate) -> Iterator[Step]:
        """Go through it once, from where the last process stopped if `resume` is set.

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

    def cursor(self) -> Cursor | None:
        """Where it stands."""
        with reading(self._engine) as session:
            return source_cursors.find(session, self._name)

    def _taken(
        self, page: Page, priority: Priority, before: Gate, pool: ThreadPoolExecutor
    ) -> Iterator[Step]:
        found = self._keys.sort(page.entries)
        yield Step(files=len(page.entries) - len(found.wanted), known=found.known)
        taking: deque[Future[Receipt]] = deque()
        try:
            for entry in found.wanted:
                before()  # in this thread: none of the pool waits for long
                taking.append(pool.submit(self._keys.take, entry, priority))
                if len(taking) > self._at_once:
                    yield Step(files=1, receipt=taking.popleft().result())
            while taking:
                yield Step(files=1, receipt=taking.popleft().result())
        finally:  # the caller stops, or a service is down
            for each in taking:
                each.cancel()


def _after(page: Page, cursor: Cursor) -> Cursor:
    last = not page.more or not page.entries
    return Cursor(
        after=page.entries[-1].name if page.entries else cursor.after,
        listed=cursor.listed + len(page.entries),
        began_at=cursor.began_at,
        ended_at=utc_now() if last else None,
    )


class S3Place:
    """All that is in a place now."""

    def __init__(
        self, settings: Settings, address: S3Address, keys: Keys, engine: Engine, *, resume: bool
    ) -> None:
        self.name, self.source = str(address), keys.source
        self._keys, self._prefix, self._resume = keys, address.prefix, resume
        at_once = settings.s3_source.at_once
        self._listing = Listing(keys, address.prefix, engine, name=f"ingest {address}", at_once=at_once)

    def done_before(self) -> int:
        cursor = self._open()
        return 0 if cursor is None else cursor.listed

    def steps(self, *, priority: Priority, before: Gate = open_gate) -> Iterator[Step]:
        resume, self._resume = self._resume, True  # if a service is down, and this is called again
        yield from self._listing.steps(resume=resume, priority=priority, before=before)

    def count(self) -> int:
        """A thousand keys by each request, so that it is known long before they have been read."""
        cursor, counted = self._open(), 0
        after = "" if cursor is None else cursor.after
        while True:
            page = self._keys.bucket.page(self._prefix, after=after)
            counted += len(page.entries)
            if not page.more or not page.entries:
                return counted
            after = page.entries[-1].name

    def _open(self) -> Cursor | None:
        """Where an interrupted run stopped."""
        cursor = self._listing.cursor() if self._resume else None
        return None if cursor is None or cursor.ended_at else cursor


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
