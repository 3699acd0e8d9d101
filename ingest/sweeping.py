"""The sweep of the object store, once a day, by whichever ingest process comes first."""

import fcntl
import os
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from sqlalchemy import Engine

from core.errors import FacewardenError
from core.settings import Settings
from storage.objects import FolderStore
from storage.sweep import sweep

log = structlog.get_logger()

STAMP = ".swept"  # in the object store: its age is the last sweep's, and whoever holds its lock sweeps


class _Stopped(Exception):
    """The process ends."""


class DailySweep:
    """Sweeps in a thread of its own: neither intake nor the reconciler waits for it."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._settings, self._engine = settings, engine
        self._objects = FolderStore(settings.objects_folder)
        self._stamp: Path = settings.objects_folder / STAMP
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def run_if_due(self) -> None:
        if self._settings.sweep.hour < 0 or (self._thread is not None and self._thread.is_alive()):
            return
        if not self._stamp.exists():
            # An installation's first sweep comes in its first night.
            self._stamp.parent.mkdir(parents=True, exist_ok=True)
            self._stamp.touch()
        if self._due():
            self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _due(self) -> bool:
        return is_due(self._stamp.stat().st_mtime, time.time(), self._settings.sweep.hour)

    def _run(self) -> None:
        try:
            with self._stamp.open("r+") as stamp:
                fcntl.flock(stamp, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not self._due():
                    return
                os.utime(self._stamp)  # first: a sweep that fails is tried again tomorrow
                sweep(self._engine, self._objects, self._settings.sweep, heartbeat=self._heartbeat)
        except BlockingIOError:
            return  # another process sweeps
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
