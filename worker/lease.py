"""The lease of a running job: renewed by a thread, so that a worker that dies is noticed soon."""

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
        self._ended = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def check(self) -> None:
        if self._lost.is_set():
            raise StaleAttempt(work=self._name, attempt=self._attempt)
        if time.monotonic() > self._deadline:
            raise DeadlineExceeded(name=self._name, seconds=self._job_seconds)

    def _keep(self) -> None:
        while not self._ended.wait(self._pause):
            if time.monotonic() > self._deadline + GRACE_SECONDS:
                log.error("a job hangs; its lease is let go", name=self._name)
                return
            try:
                if not self._renew():
                    self._lost.set()
                    return
            except Exception as error:  # this thread must survive whatever the database does
                # If the database stays down the lease expires by itself.
                log.warning("lease not renewed", name=self._name, reason=str(error))
