"""The sweep of the object store, once a day, by whichever ingest process comes first."""

import threading
import time
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Engine

from core.errors import FacewardenError
from core.settings import Settings
from storage.objects.store import Daily, ObjectStore
from storage.sweep import sweep

log = structlog.get_logger()


class _Stopped(Exception):
    """The process ends."""


class DailySweep:
    """Sweeps in a thread of its own: neither intake nor the reconciler waits for it."""

    def __init__(self, settings: Settings, engine: Engine, objects: ObjectStore) -> None:
        self._settings, self._engine, self._objects = settings, engine, objects
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def run_if_due(self) -> None:
        if self._settings.sweep.hour < 0 or (self._thread is not None and self._thread.is_alive()):
            return
        # A new store counts as just swept: an installation's first sweep comes in its first night.
        try:
            due = self._due(self._objects.last_done(Daily.SWEEP))
        except FacewardenError as error:  # the reconciler's turn comes all the same
            log.warning("not swept", reason=str(error))
            return
        if due:
            self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _due(self, last: float) -> bool:
        return is_due(last, time.time(), self._settings.sweep.hour)

    def _run(self) -> None:
        try:
            with self._objects.turn(Daily.SWEEP, self._due) as mine:
                if mine:
                    sweep(self._engine, self._objects, self._settings.sweep, heartbeat=self._heartbeat)
        except _Stopped:
            log.info("sweep stopped")
        except FacewardenError as error:
            log.warning("not swept", reason=str(error))
        except Exception:
            log.exception("not swept")

    def _heartbeat(self) -> None:
        if self._stop.is_set():
            raise _Stopped


def is_due(last: float, now: float, hour: int) -> bool:
    """Whether `hour` (local time) has struck since `last`; both are seconds since 1970."""
    moment = datetime.fromtimestamp(now).astimezone()
    struck = moment.replace(hour=hour, minute=0, second=0, microsecond=0)
    if struck > moment:
        struck -= timedelta(days=1)
    return last < struck.timestamp()
