"""The courier: claims what is due, sends it, and writes down what became of it.

Any number of processes may do so at once: a delivery is claimed by a lease in SQL, by the database's clock.
Each endpoint has a few threads at most, so that a slow receiver holds up nobody else.
"""

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import timedelta

import structlog
from sqlalchemy import Engine

from core import metrics
from core.errors import FacewardenError
from core.outgoing import Patience
from core.settings import WebhookSettings
from storage.clock import database_now
from storage.engine import reading, transaction
from storage.webhooks import deliveries
from storage.webhooks.deliveries import Clock, Parcel
from storage.webhooks.endpoints import MOST
from webhooks.sending import GONE, Outcome, send

log = structlog.get_logger()

BACKOFF = 3.0  # each pause is so many times the one before
JITTER = 0.25  # and up to this part shorter or longer, so that what failed together does not come together
LEASE_MARGIN_SECONDS = 30.0  # for resolving a name and for the database, beyond the attempt itself


def pause(failures: int, settings: WebhookSettings, *, luck: float) -> float | None:
    """Seconds until the next attempt after so many failures, None where none comes; `luck` is in [0, 1]."""
    if failures >= settings.attempts:
        return None
    seconds = settings.longest_retry_seconds
    if failures < 64:  # beyond, the power is no float any more
        seconds = min(settings.retry_seconds * BACKOFF ** (failures - 1), seconds)
    return seconds * (1 - JITTER + 2 * JITTER * luck)


class Courier:
    def __init__(
        self,
        settings: WebhookSettings,
        engine: Engine,
        *,
        owner: str,
        clock: Clock = database_now,
        luck: Callable[[], float] = random.random,
    ) -> None:
        self._settings, self._engine, self._owner = settings, engine, owner
        self._clock, self._luck, self._guard = clock, luck, settings.guard
        self._patience = Patience(
            silence_seconds=settings.silence_seconds, total_seconds=settings.total_seconds
        )
        # Threads are made as they are needed: so many only where every endpoint is slow.
        self._pool = ThreadPoolExecutor(MOST * settings.at_once, thread_name_prefix="webhook")
        self._running: dict[Future[None], int] = {}  # the endpoint of each attempt

    def look(self) -> int:
        """Begin to send what is due and fits; returns how many. Raises ServiceUnavailable, SettingsError."""
        self._running = {future: key for future, key in self._running.items() if not future.done()}
        busy = Counter(self._running.values())
        with reading(self._engine) as session:  # most looks find nothing, and wait for no writer
            waiting = deliveries.due(session, self._clock(session))
        begun = 0
        for endpoint_id in waiting:
            free = self._settings.at_once - busy[endpoint_id]
            parcels = self._claim(endpoint_id, free) if free > 0 else []
            for parcel in parcels:
                self._running[self._pool.submit(self._carry, parcel)] = endpoint_id
            begun += len(parcels)
        return begun

    def wait(self, seconds: float | None = None) -> None:
        """Until an attempt has ended, or for so long."""
        if self._running:
            wait(self._running, timeout=seconds, return_when="FIRST_COMPLETED")

    @property
    def running(self) -> int:
        return sum(not future.done() for future in self._running)

    def forget(self) -> int:
        """Delete what has been kept for long enough; returns how many events."""
        with transaction(self._engine) as session:
            before = self._clock(session) - timedelta(days=self._settings.keep_days)
            return deliveries.forget(session, before=before)

    def stop(self) -> None:
        """Let the attempts that run end, each within its own time."""
        self._pool.shutdown(wait=True)

    def _claim(self, endpoint_id: int, most: int) -> list[Parcel]:
        lease = self._settings.total_seconds + self._settings.silence_seconds + LEASE_MARGIN_SECONDS
        with transaction(self._engine) as session:
            return deliveries.claim(
                session,
                endpoint_id,
                owner=self._owner,
                most=most,
                lease_seconds=lease,
                now=self._clock(session),
            )

    def _carry(self, parcel: Parcel) -> None:
        try:
            self._note(parcel, send(parcel, self._guard, self._patience))
        except FacewardenError as error:  # the database is away: the lease runs out, and it is sent again
            log.warning("delivery not noted", message=parcel.message_id, reason=str(error))
        except Exception:
            log.exception("delivery not noted", message=parcel.message_id)

    def _note(self, parcel: Parcel, outcome: Outcome) -> None:
        word = "delivered"
        with transaction(self._engine) as session:
            now = self._clock(session)
            if outcome.error is None:
                deliveries.delivered(session, parcel, http_status=outcome.http_status or 0, now=now)
            elif outcome.http_status == GONE:
                word = "gone"
                deliveries.gone(session, parcel, error=outcome.error, http_status=GONE, now=now)
            else:
                seconds = pause(parcel.failures + 1, self._settings, luck=self._luck())
                word = "dead" if seconds is None else "failed"
                deliveries.failed(
                    session,
                    parcel,
                    error=outcome.error,
                    http_status=outcome.http_status,
                    retry_seconds=None if seconds is None else max(seconds, outcome.retry_after_seconds),
                    now=now,
                )
        metrics.DELIVERED.labels(outcome=word).inc()
        if outcome.error is not None:
            log.warning(word, endpoint=parcel.endpoint_id, message=parcel.message_id, reason=outcome.error)
