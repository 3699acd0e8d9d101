"""The process that watches live streams: claims them, looks at them in turn, writes down what it sees."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from core import metrics
from core.errors import FacewardenError, InputError, StaleAttempt, StreamsOff
from core.settings import Settings
from core.stopping import asked_to_stop
from core.streams import StreamStatus
from storage import migrate
from storage.engine import transaction
from storage.signs.server import shown
from storage.streams import leases
from storage.streams.leases import WatchClaim
from worker.context import Context
from worker.streams.feed import Feed, FeedState
from worker.streams.opening import open_feed
from worker.streams.recorder import Recorder
from worker.streams.watcher import News, StreamView, Watcher

log = structlog.get_logger()

REPORT_SECONDS = 2.0  # between two reports of a stream
WAIT_SECONDS = 0.5
METRICS_SECONDS = 15.0

Opener = Callable[[str, Settings], Feed]


def watch_streams(settings: Settings) -> None:
    """Watch streams until SIGTERM or SIGINT; they are given back to other workers then.

    Raises StreamsOff, WeightsError, SchemaTooNew, and ServiceUnavailable where the database must be migrated
    first.
    """
    if not settings.streams.enabled:
        raise StreamsOff
    stop = asked_to_stop()
    context = Context.of(settings)
    migrate.require(context.engine)
    loaded, written = threading.Event(), 0.0
    with shown(settings, "streams", loaded=loaded):
        service = StreamService(context)
        loaded.set()
        log.info("watching streams", at_once=settings.streams.at_once)
        try:
            while not stop.is_set():
                service.step()
                if time.monotonic() - written > METRICS_SECONDS:
                    metrics.write(settings, "streams")
                    written = time.monotonic()
        finally:
            service.close()
            metrics.forget(settings, "streams")
    context.engine.dispose()


class StreamService:
    """The streams of one process."""

    def __init__(self, context: Context, *, opener: Opener = open_feed) -> None:
        self._context, self._settings, self._opener = context, context.settings, opener
        self._watcher = Watcher(context.settings, context.detector, context.classifier)
        self._records: dict[int, Recorder] = {}
        self._due = 0.0  # time.monotonic() of the next reports

    def __len__(self) -> int:
        """How many are watched."""
        return len(self._records)

    def step(self) -> None:
        """One turn of each stream; waits a moment where nothing came."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + REPORT_SECONDS
            # First: our own leases may have run out, while the database was away or in a slow turn.
            for key in list(self._records):
                self._report(key)
            self._claim()
        turns = self._watcher.turn()
        for news in turns:
            self._take(news)
        if not turns:
            self._watcher.wait(WAIT_SECONDS)

    def close(self) -> None:
        """Give all streams back."""
        for key, record in list(self._records.items()):
            view = self._watcher.view(key)
            record.finish(self._watcher.finish(key), view.position_seconds)
            if self._report(key):
                with suppress(FacewardenError), transaction(self._context.engine) as session:
                    leases.give_back(session, record.claimed)
                self._forget(key)

    def _claim(self) -> None:
        room = self._settings.streams.at_once - len(self._records)
        try:
            with transaction(self._context.engine) as session:
                claims = leases.claim(
                    session,
                    owner=self._context.owner,
                    lease_seconds=self._settings.worker.lease_seconds,
                    most=room,
                    but=list(self._records),
                )
        except FacewardenError as error:
            log.warning("no streams are claimed", reason=str(error))
            return
        for claimed in claims:
            self._begin(claimed)

    def _begin(self, claimed: WatchClaim) -> None:
        try:
            feed = self._opener(claimed.url, self._settings)
        except InputError as error:
            self._end(claimed, StreamStatus.FAILED, error)
            return
        log.info("watching", stream=claimed.stream_id, name=claimed.name, attempt=claimed.attempt)
        self._records[claimed.stream_id] = Recorder(claimed, self._settings, self._context.objects)
        self._watcher.add(claimed.stream_id, feed)

    def _take(self, news: News) -> None:
        record, view = self._records[news.key], self._watcher.view(news.key)
        record.take(news, view)
        if (record.told or news.over) and not self._report(news.key):
            return
        if news.over:
            failed = view.state == FeedState.FAILED
            status = StreamStatus.FAILED if failed else StreamStatus.ENDED
            self._end(record.claimed, status, view.error if failed else None)

    def _report(self, key: int) -> bool:
        """Store how the stream is and renew its lease; False where it is no longer ours."""
        record, view = self._records[key], self._watcher.view(key)
        try:
            stop = self._store(record, view)
        except StaleAttempt:
            log.warning("another worker watches it", stream=key)
            self._forget(key)
            return False
        except FacewardenError as error:  # told later, if the lease lasts
            log.warning("not stored yet", stream=key, reason=str(error))
            return True
        if stop:
            self._stop(key)
        return not stop

    def _store(self, record: Recorder, view: StreamView) -> bool:
        """Whether somebody wants it to stop. Raises StaleAttempt, ServiceUnavailable."""
        told = record.told
        with transaction(self._context.engine) as session:
            stop = leases.report(
                session,
                record.claimed,
                record.now(view),
                position_seconds=record.position(view),
                seen_seconds=record.seen(view),
                model_version=self._context.classifier.version.id,
                lease_seconds=self._settings.worker.lease_seconds,
                told=told,
            )
        record.stored(len(told))
        return stop

    def _stop(self, key: int) -> None:
        """Somebody asked for it: what is going on is over."""
        record, view = self._records[key], self._watcher.view(key)
        record.finish(self._watcher.finish(key), view.position_seconds)
        with suppress(FacewardenError):
            self._store(record, view)
        self._end(record.claimed, StreamStatus.STOPPED, None)

    def _end(self, claimed: WatchClaim, status: StreamStatus, error: FacewardenError | None) -> None:
        """If that cannot be stored, the lease runs out, and another worker finds the stream over."""
        try:
            with transaction(self._context.engine) as session:
                leases.end(session, claimed, status, error)
        except FacewardenError as failure:
            log.warning("its end is not stored", stream=claimed.stream_id, reason=str(failure))
        log.info("no longer watching", stream=claimed.stream_id, status=status.value)
        self._forget(claimed.stream_id)

    def _forget(self, key: int) -> None:
        record = self._records.pop(key, None)
        if record is not None:
            record.close()
        if key in self._watcher:
            self._watcher.remove(key)
