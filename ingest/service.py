"""The ingest process: scans the bucket and keeps queue and database in step.

Of several processes one watches a bucket folder and one reconciles; the others stand by and take over at once
where it ends, however it ends (storage.duty). The sweep has a lock of its own, in the store.
"""

import signal
import threading
import time
from types import FrameType

import structlog
from sqlalchemy import Engine

from core import metrics
from core.errors import FacewardenError, Unreadable
from core.settings import Settings
from ingest.bucket import BucketWatcher
from ingest.reconciler import Reconciler
from ingest.registration import Registrar
from ingest.sweeping import DailySweep
from storage import videos
from storage.duty import Duty
from storage.engine import connect, transaction
from storage.objects.choice import open_store
from storage.objects.store import ObjectStore
from storage.signs.server import shown

log = structlog.get_logger()

LONGEST_PAUSE_SECONDS = 30.0  # between retries while the database is down


def watch(settings: Settings) -> None:
    """Take files in until SIGTERM or SIGINT. No single bad file and no outage ends it."""
    stop = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    with shown(settings, "ingest"):
        _watch(settings, stop)


def _watch(settings: Settings, stop: threading.Event) -> None:
    settings.bucket.mkdir(parents=True, exist_ok=True)
    engine = connect(settings.sql_url)
    objects = open_store(settings)
    upkeep = _Upkeep(settings, engine, objects)
    try:
        if swept := objects.sweep():
            log.info("swept half-written objects", files=swept)
    except FacewardenError as error:
        log.warning("half-written objects are not swept", reason=str(error))
    registrar = Registrar(settings, engine, objects)
    watcher: BucketWatcher | None = None
    duty = Duty(engine, f"watch {BucketWatcher.source(settings)}")
    pause = settings.ingest.poll_seconds
    while not stop.is_set():
        upkeep.run_if_due()
        began = time.monotonic()
        try:
            # Made anew whenever it is our turn again: another has taken files in meanwhile.
            watcher = (watcher or _watcher(settings, registrar)) if duty.mine() else None
            for _ in watcher.look(time.time_ns()) if watcher else ():
                # The first scan of a large bucket takes hours: neither may wait for its end.
                if stop.is_set() or not duty.mine():
                    break
                upkeep.run_if_due()
            # Scanning a bucket of very many files must not keep a core busy all the time.
            pause = max(settings.ingest.poll_seconds, time.monotonic() - began)
        except FacewardenError as error:
            log.warning("ingest waits", reason=str(error))
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        except Exception:
            log.exception("ingest goes on")
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        stop.wait(pause)
    upkeep.stop()
    duty.leave()
    engine.dispose()


class _Upkeep:
    """Reconciles, sweeps and writes metrics whenever due. Its errors are logged, never raised."""

    def __init__(self, settings: Settings, engine: Engine, objects: ObjectStore) -> None:
        self._settings, self._reconciler = settings, Reconciler(settings, engine)
        self._duty = Duty(engine, "reconcile")
        self._sweep = DailySweep(settings, engine, objects)
        self._due = 0.0  # time.monotonic()

    def run_if_due(self) -> None:
        if time.monotonic() < self._due:
            return
        try:
            self._sweep.run_if_due()
            if self._duty.mine():
                self._reconciler.run_once()
            else:
                self._reconciler.stand_by()
            metrics.write(self._settings, "ingest")
        except FacewardenError as error:
            log.warning("not reconciled", reason=str(error))
        except Exception:
            log.exception("not reconciled")
        self._due = time.monotonic() + self._settings.ingest.reconcile_seconds

    def stop(self) -> None:
        self._sweep.stop()
        self._duty.leave()


def _watcher(settings: Settings, registrar: Registrar) -> BucketWatcher:
    log.info("watching", bucket=str(settings.bucket.resolve()))
    with transaction(registrar.engine) as session:
        known = list(videos.seen_in(session, BucketWatcher.source(settings), but=Unreadable.code))
    return BucketWatcher(settings, registrar, iter(known))
