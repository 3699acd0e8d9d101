"""The ingest process: scans the bucket and keeps queue and database in step.

Of several processes one watches the bucket and one reconciles; the others stand by and take over at once
where it ends, however it ends (storage.duty). The sweep has a lock of its own, in the store.
"""

import threading
import time
from pathlib import Path

import structlog
from sqlalchemy import Engine

from core import metrics, traces
from core.errors import FacewardenError
from core.settings import Settings
from core.stopping import asked_to_stop
from ingest.chores import LONGEST_PAUSE_SECONDS, Chore
from ingest.reconciler import Reconciler
from ingest.registration import Registrar
from ingest.source import Look, listeners, watched
from ingest.sweeping import DailySweep, is_due
from storage import retention
from storage.duty import Duty
from storage.engine import connect
from storage.objects.choice import open_store
from storage.objects.store import Daily, ObjectStore
from storage.people import failures
from storage.signs.server import shown

log = structlog.get_logger()


def watch(settings: Settings) -> None:
    """Take files in until SIGTERM or SIGINT. No single bad file and no outage ends it."""
    stop = asked_to_stop()
    with traces.exported(settings, "ingest"), shown(settings, "ingest"):
        _watch(settings, stop)


def _watch(settings: Settings, stop: threading.Event) -> None:
    if isinstance(settings.bucket, Path):
        settings.bucket.mkdir(parents=True, exist_ok=True)
    engine = connect(settings.sql_url)
    objects = open_store(settings)
    registrar = Registrar(settings, engine, objects)
    upkeep = _Upkeep(settings, engine, objects)
    chores = [*upkeep.chores(), *listeners(settings, registrar, objects)]
    for chore in chores:
        chore.start()
    look: Look | None = None
    duty = Duty(engine, f"watch bucket:{settings.bucket_name}")
    pause = settings.ingest.poll_seconds
    while not stop.is_set():
        began = time.monotonic()
        try:
            # Made anew whenever it is our turn again: another has taken files in meanwhile.
            look = (look or _look(settings, registrar, objects)) if duty.mine() else None
            for _ in look() if look else ():
                # The first look at a large bucket takes hours: this must not wait for its end.
                if stop.is_set() or not duty.mine():
                    break
            # Scanning a bucket of very many files must not keep a core busy all the time.
            pause = max(settings.ingest.poll_seconds, time.monotonic() - began)
        except FacewardenError as error:
            log.warning("ingest waits", reason=str(error))
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        except Exception:
            log.exception("ingest goes on")
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        stop.wait(pause)
    for chore in chores:
        chore.ask_to_stop()
    for chore in chores:
        chore.stop()
    upkeep.stop()
    duty.leave()
    engine.dispose()


class _Upkeep:
    """Reconciles, sweeps, and writes metrics."""

    def __init__(self, settings: Settings, engine: Engine, objects: ObjectStore) -> None:
        self._settings, self._engine, self._objects = settings, engine, objects
        self._reconciler = Reconciler(settings, engine)
        self._duty = Duty(engine, "reconcile")
        self._sweep = DailySweep(settings, engine, objects)
        self._cleaned = False
        self._purging = False  # or it has failed, and is tried again

    def chores(self) -> list[Chore]:
        """Apart, so that an object store that does not answer keeps nobody waiting."""
        pause = self._settings.ingest.reconcile_seconds
        return [
            Chore("reconciler", self._reconcile, pause),
            Chore("sweep", self._sweep_if_due, pause),
            Chore("retention", self._purge_if_due, pause),
        ]

    def stop(self) -> None:
        self._sweep.stop()
        self._duty.leave()
        metrics.forget(self._settings, "ingest")

    def _reconcile(self) -> None:
        if self._duty.mine():
            self._reconciler.run_once()
            failures.tell(self._engine)
        else:
            self._reconciler.stand_by()
        metrics.write(self._settings, "ingest")

    def _purge_if_due(self) -> None:
        settings = self._settings.retention
        if settings.hour < 0:
            return
        # What was not done while no process ran is done as soon as one does.
        with self._objects.turn(Daily.PURGE, lambda last: is_due(last, time.time(), settings.hour)) as mine:
            self._purging = self._purging or mine
            if self._purging:
                retention.purge(self._engine, self._objects, settings)
                self._purging = False

    def _sweep_if_due(self) -> None:
        if not self._cleaned:
            self._cleaned = True
            if swept := self._objects.sweep():
                log.info("swept half-written objects", files=swept)
        self._sweep.run_if_due()


def _look(settings: Settings, registrar: Registrar, objects: ObjectStore) -> Look:
    log.info("watching", bucket=settings.bucket_name)
    return watched(settings, registrar, objects)
