"""The lease of a running job: renewed by a thread, so that a worker that dies is noticed soon.

The thread is one of the process and lasts: starting one for each job, and waiting for its end, took each
video a millisecond.
"""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import structlog

from core.errors import DeadlineExceeded, StaleAttempt

log = structlog.get_logger()

RENEWALS_PER_LEASE = 4  # so that a few may fail before the lease runs out

# After its deadline a job has this long to reach its next check. One that hangs in native code never does:
# its lease then expires, and another worker gets the work.
GRACE_SECONDS = 60.0

IDLE_SECONDS = 60.0  # between two looks of a thread that has nothing to renew


class Lease:
    """Keeps a claim alive while its `with` block runs.

    `check()` raises StaleAttempt once the claim has been lost and DeadlineExceeded once the job's time is
    over; the work calls it between its batches.
    """

    def __init__(
        self, renew: Callable[[], bool], *, name: str, attempt: int, lease_seconds: float, job_seconds: float
    ) -> None:
        self._renew, self._name, self._attempt = renew, name, attempt
        self._pause = lease_seconds / RENEWALS_PER_LEASE
        self._job_seconds = job_seconds
        self._deadline = time.monotonic() + job_seconds
        self._renewing = threading.Lock()
        self._lost = threading.Event()
        self._ended = False
        self.due = float("inf")  # time.monotonic() of the next renewal

    def __enter__(self) -> Self:
        self.due = time.monotonic() + self._pause
        _keeper.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._renewing:  # one that has begun is waited for
            self._ended = True
        _keeper.remove(self)

    def check(self) -> None:
        if self._lost.is_set():
            raise StaleAttempt(work=self._name, attempt=self._attempt)
        if time.monotonic() > self._deadline:
            raise DeadlineExceeded(name=self._name, seconds=self._job_seconds)

    def keep(self) -> bool:
        """Renew it; False if it will not be renewed again."""
        with self._renewing:
            if self._ended:
                return False
            if time.monotonic() > self._deadline + GRACE_SECONDS:
                log.error("a job hangs; its lease is let go", name=self._name)
                return False
            try:
                if not self._renew():
                    self._lost.set()
                    return False
            except Exception as error:  # the thread must survive whatever the database does
                # If the database stays down the lease expires by itself.
                log.warning("lease not renewed", name=self._name, reason=str(error))
            self.due = time.monotonic() + self._pause
            return True


class _Keeper:
    """The thread that renews this process's leases when they are due."""

    def __init__(self) -> None:
        self._leases: set[Lease] = set()
        self._changed = threading.Condition()
        self._wakes = float("-inf")  # time.monotonic(); a lease that is due later need not wake it
        self._started = False

    def add(self, lease: Lease) -> None:
        with self._changed:
            self._leases.add(lease)
            if not self._started:
                self._started = True
                threading.Thread(target=self._keep, name="leases", daemon=True).start()
            elif lease.due < self._wakes:
                self._changed.notify()

    def remove(self, lease: Lease) -> None:
        with self._changed:
            self._leases.discard(lease)

    def _keep(self) -> None:
        while True:
            for lease in self._due():
                if not lease.keep():
                    self.remove(lease)

    def _due(self) -> list[Lease]:
        """Those to be renewed now, once there may be some."""
        with self._changed:
            now = time.monotonic()
            self._wakes = min((lease.due for lease in self._leases), default=now + IDLE_SECONDS)
            if self._wakes > now:
                self._changed.wait(self._wakes - now)
            now = time.monotonic()
            return [lease for lease in self._leases if lease.due <= now]


_keeper = _Keeper()
