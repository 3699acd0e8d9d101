"""The delivery process: sends the outbox's events until it is stopped."""

import os
import socket
import threading
import time

import structlog

from core import metrics
from core.errors import FacewardenError
from core.settings import Settings
from core.stopping import asked_to_stop
from storage import migrate
from storage.engine import connect
from storage.signs.server import shown
from webhooks.courier import Courier

log = structlog.get_logger()

LONGEST_PAUSE_SECONDS = 30.0  # between looks while the database is away
FORGET_SECONDS = 3600.0  # between two deletions of what is old
METRICS_SECONDS = 15.0


def deliver(settings: Settings) -> None:
    """Send events until SIGTERM or SIGINT. No receiver and no later outage ends it.

    Raises SchemaTooNew, ServiceUnavailable where the database is away or must be migrated first.
    """
    stop = asked_to_stop()
    engine = connect(settings.sql_url)
    migrate.require(engine)
    courier = Courier(settings.webhooks, engine, owner=f"{socket.gethostname()}:{os.getpid()}")
    with shown(settings, "deliver"):
        _send(courier, _Upkeep(settings, courier), settings.webhooks.poll_seconds, stop)
    courier.stop()
    metrics.forget(settings, "deliver")
    engine.dispose()


def _send(courier: Courier, upkeep: "_Upkeep", usual: float, stop: threading.Event) -> None:
    pause = usual
    while not stop.is_set():
        try:
            begun = courier.look()
            upkeep.run_if_due()
            pause = usual
            if begun:
                courier.wait(usual)  # more may be due at once, and places become free
                continue
        except FacewardenError as error:
            log.warning("deliveries wait", reason=str(error))
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        except Exception:
            log.exception("deliveries go on")
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        stop.wait(pause)


class _Upkeep:
    """Deletes what is old and writes metrics, whenever due."""

    def __init__(self, settings: Settings, courier: Courier) -> None:
        self._settings, self._courier = settings, courier
        self._forget_at = self._write_at = 0.0  # time.monotonic()

    def run_if_due(self) -> None:
        now = time.monotonic()
        if now >= self._forget_at:
            self._forget_at = now + FORGET_SECONDS
            self._courier.forget()
        if now >= self._write_at:
            self._write_at = now + METRICS_SECONDS
            metrics.write(self._settings, "deliver")
