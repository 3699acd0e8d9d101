"""Keeps queue and database in step: SQL says what is to be done, Redis may have forgotten.

Of several ingest processes one does it at a time (storage.duty). Any number would do no harm: enqueueing is
unique, and a job that runs twice finds its attempt taken.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from redis import Redis
from sqlalchemy import Engine

from core import metrics, queues
from core.settings import Settings
from storage import explanations, screenings
from storage.engine import transaction
from storage.leases import Ticket

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Repairs:
    taken_back: int  # attempts of workers that fell silent
    enqueued: int  # jobs that Redis had lost

    @property
    def any(self) -> bool:
        return bool(self.taken_back or self.enqueued)


class Reconciler:
    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._settings, self._engine = settings, engine
        self._redis: Redis | None = None
        self._looked_at: float | None = None  # time.time() of the last look into the database
        self._outage_ended: float | None = (
            None  # time.time(); for the length of one lease after it, silence means nothing
        )

    def run_once(self) -> Repairs:
        """Take expired leases back and enqueue whatever waits without a live job.

        Raises ServiceUnavailable if the database or Redis is down; the next run makes up for it.
        """
        attempts = self._settings.worker.max_attempts
        taken_back = 0
        with transaction(self._engine) as session:
            session.connection()  # any wait for a lock on the database ends here
            if self._silence_counts(time.time()):
                taken_back = len(screenings.LEASES.take_back_expired(session, max_attempts=attempts))
                taken_back += len(explanations.LEASES.take_back_expired(session, max_attempts=attempts))
            waiting = screenings.LEASES.queued(session)
            pending = explanations.LEASES.queued(session)
        metrics.WAITING.labels(queue=queues.SCREEN).set(len(waiting))
        metrics.WAITING.labels(queue=queues.EXPLAIN).set(len(pending))
        enqueued = self._enqueue(waiting, pending)
        repairs = Repairs(taken_back=taken_back, enqueued=enqueued)
        metrics.REPAIRED.labels(kind="taken_back").inc(taken_back)
        metrics.REPAIRED.labels(kind="enqueued").inc(enqueued)
        if repairs.any:
            log.info("reconciled", taken_back=taken_back, enqueued=enqueued)
        return repairs

    def stand_by(self) -> None:
        """Note that the database answers, while another process does the work."""
        self._silence_counts(time.time())

    def _silence_counts(self, now: float) -> bool:
        """Whether an expired lease means that its worker fell silent.

        Not right after the database was down or this machine slept: nobody could renew a lease then, and
        live workers get the length of one lease to do it.
        """
        lease = self._settings.worker.lease_seconds
        longest = self._settings.ingest.reconcile_seconds + lease / 4
        outage = self._looked_at is not None and now - self._looked_at > longest
        self._looked_at = now
        if self._outage_ended is None and outage:
            self._outage_ended = now
        if self._outage_ended is not None and now - self._outage_ended < lease:
            return False
        self._outage_ended = None  # so that of runs that are always late, every second one counts
        return True

    def _enqueue(self, waiting: list[Ticket], pending: list[Ticket]) -> int:
        if not waiting and not pending:
            return 0
        try:
            redis = self._redis = self._redis or queues.connect(
                self._settings.queue_url, answer_seconds=queues.ANSWER_SECONDS
            )
            return self._lost(redis, queues.SCREEN, waiting, queues.enqueue_screen) + self._lost(
                redis, queues.EXPLAIN, pending, queues.enqueue_explain
            )
        except Exception:
            self._redis = None  # reconnect the next time
            raise

    def _lost(self, redis: Redis, kind: str, tickets: list[Ticket], enqueue: Callable[..., bool]) -> int:
        """Enqueue those tickets that Redis has lost, each in the queue of its priority; how many."""
        seconds = self._settings.worker.job_seconds
        lost = set(queues.not_waiting(redis, kind, [(each.row_id, each.attempt) for each in tickets]))
        return sum(
            enqueue(redis, each.row_id, each.attempt, job_seconds=seconds, priority=each.priority)
            for each in tickets
            if (each.row_id, each.attempt) in lost
        )
