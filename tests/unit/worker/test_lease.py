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


def counted(renewals: threading.Semaphore) -> Callable[[], bool]:
    def renew() -> bool:
        renewals.release()
        return True

    return renew


def test_it_is_renewed_until_the_work_ends() -> None:
    renewals = threading.Semaphore(0)
    with held(counted(renewals)) as kept:
        for _ in range(3):
            assert renewals.acquire(timeout=PATIENCE_SECONDS)
        kept.check()
    while renewals.acquire(blocking=False):
        pass
    assert not renewals.acquire(timeout=10 * SOON), "nothing may renew it any more"


def test_a_lost_lease_stops_the_work() -> None:
    others = threading.Semaphore(0)
    asked = threading.Semaphore(0)

    def renew() -> bool:
        asked.release()
        return False

    with held(renew) as kept:
        assert asked.acquire(timeout=PATIENCE_SECONDS)
        with held(counted(others)):  # behind it in the same thread
            assert others.acquire(timeout=PATIENCE_SECONDS)
        with pytest.raises(StaleAttempt, match="Attempt 3 of clip"):
            kept.check()
        assert not asked.acquire(timeout=10 * SOON), "it is lost for good"


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

    others = threading.Semaphore(0)
    with held(renew, job_seconds=0.0), held(counted(others)):
        for _ in range(3):  # another one's are in time, by the same thread
            assert others.acquire(timeout=PATIENCE_SECONDS)
    assert renewals == 0


def test_one_that_is_due_before_the_next_look_is_renewed_in_time() -> None:
    slow = Lease(lambda: True, name="slow", attempt=1, lease_seconds=3600.0, job_seconds=60.0)
    renewals = threading.Semaphore(0)
    with slow, held(counted(renewals)):
        assert renewals.acquire(timeout=PATIENCE_SECONDS)
