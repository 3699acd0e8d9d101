"""The lease of a running job."""

import threading
from collections.abc import Callable

import pytest

from core.errors import DeadlineExceeded, ServiceUnavailable, StaleAttempt
from tests.waiting import PATIENCE_SECONDS
from worker import lease
from worker.lease import Lease

SOON = 0.02  # seconds; renewals then come every 5 ms


def held(renew: Callable[[], bool], *, job_seconds: float = 60.0) -> Lease:
    return Lease(renew, name="clip.mp4", attempt=3, lease_seconds=SOON, job_seconds=job_seconds)


def test_it_is_renewed_until_the_work_ends() -> None:
    renewals = threading.Semaphore(0)

    def renew() -> bool:
        renewals.release()
        return True

    with held(renew) as kept:
        for _ in range(3):
            assert renewals.acquire(timeout=PATIENCE_SECONDS)
        kept.check()
    while renewals.acquire(blocking=False):
        pass
    assert not renewals.acquire(timeout=10 * SOON), "nothing may renew it any more"


def test_a_lost_lease_stops_the_work() -> None:
    asked = threading.Event()

    def renew() -> bool:
        asked.set()
        return False

    with held(renew) as kept:
        assert asked.wait(PATIENCE_SECONDS)
        kept._thread.join(PATIENCE_SECONDS)  # it has nothing more to do
        with pytest.raises(StaleAttempt, match="Attempt 3 of clip"):
            kept.check()


@pytest.mark.parametrize(
    "fault",
    [
        ServiceUnavailable(service="The database", address="x", reason="away", setting="y"),
        ValueError("a bug of the driver's"),
    ],
)
def test_it_survives_a_database_that_is_away(fault: Exception) -> None:
    answers = iter([fault, fault])
    back = threading.Event()

    def renew() -> bool:
        for error in answers:
            raise error
        back.set()
        return True

    with held(renew) as kept:
        assert back.wait(PATIENCE_SECONDS)
        kept.check()


def test_the_deadline_ends_the_work() -> None:
    with held(lambda: True, job_seconds=0.0) as kept, pytest.raises(DeadlineExceeded, match="clip"):
        kept.check()


def test_a_job_that_hangs_loses_its_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "GRACE_SECONDS", 0.0)
    renewals = 0

    def renew() -> bool:
        nonlocal renewals
        renewals += 1
        return True

    with held(renew, job_seconds=0.0) as kept:
        kept._thread.join(PATIENCE_SECONDS)
        assert not kept._thread.is_alive()
    assert renewals == 0
