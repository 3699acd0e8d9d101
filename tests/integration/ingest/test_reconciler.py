"""SQL is the truth: whatever Redis forgets or a worker drops comes back."""

import threading
import time
from datetime import timedelta

import pytest
from pydantic import SecretStr
from redis import Redis
from rq import SimpleWorker
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from core import queues
from core.errors import BrokenMedia, ServiceUnavailable
from core.outcomes import ScreeningStatus
from core.priorities import Priority
from ingest import reconciler as reconciler_module
from ingest.reconciler import Reconciler, Repairs
from storage import explanations, screenings
from storage.engine import connect, transaction
from storage.leases import Ticket
from storage.results import complete
from storage.tables import utc_now
from tests.integration.ingest.site import MP4, Site
from tests.screening_results import screening_result

NOTHING = Repairs(taken_back=0, enqueued=0)


def drop(site: Site, count: int) -> None:
    for number in range(count):
        (site.bucket / f"{number}.mp4").write_bytes(MP4 + number.to_bytes(4, "big"))
    assert len(site.take()) == count


def pop(site: Site) -> Job:
    popped = site.redis.lpop(queues.queue(site.redis, queues.SCREEN).key)
    assert isinstance(popped, bytes)
    return Job.fetch(popped.decode(), connection=site.redis, serializer=JSONSerializer)


def consume(site: Site, owner: str = "fake") -> list[int]:
    """A worker with the real one's manners: pops each job, claims its attempt, ends the screening."""
    target, ended = queues.queue(site.redis, queues.SCREEN), []
    while target.count:
        job = pop(site)
        screening_id, attempt = job.args
        ticket = Ticket(row_id=screening_id, attempt=attempt)
        with transaction(site.engine) as session:
            claimed = screenings.LEASES.claim(session, ticket, owner=owner, lease_seconds=30)
            if claimed is not None:
                screenings.LEASES.fail(session, claimed, BrokenMedia(name=claimed.name, reason="a test"))
                ended.append(screening_id)
        job.delete()
    return ended


def test_where_all_is_well_nothing_is_repaired(site: Site) -> None:
    drop(site, 3)
    assert Reconciler(site.settings, site.engine).run_once() == NOTHING
    assert site.depth() == 3


def test_flushall_with_jobs_queued_loses_none(site: Site) -> None:
    drop(site, 20)
    site.redis.flushall()
    reconciler = Reconciler(site.settings, site.engine)
    assert reconciler.run_once() == Repairs(taken_back=0, enqueued=20)
    assert reconciler.run_once() == NOTHING
    assert sorted(consume(site)) == list(range(1, 21))
    assert {screening.status for screening in site.screenings()} == {ScreeningStatus.FAILED}
    assert reconciler.run_once() == NOTHING
    assert site.depth() == 0


def test_after_flushall_each_is_back_in_the_queue_of_its_priority(site: Site) -> None:
    for priority in Priority:
        (site.bucket / priority).write_bytes(MP4 + priority.encode())
        site.register(priority, priority=priority)
    site.redis.flushall()
    assert Reconciler(site.settings, site.engine).run_once().enqueued == 3
    assert queues.depths(site.redis, queues.SCREEN) == dict.fromkeys(Priority, 1)


def test_a_flagged_frame_is_explained_with_the_priority_of_its_video(site: Site) -> None:
    (site.bucket / "a.mp4").write_bytes(MP4)
    site.register("a.mp4", priority=Priority.BACKFILL)
    with transaction(site.engine) as session:
        waiting = screenings.LEASES.queued(session)[0]
        claimed = screenings.LEASES.claim(session, waiting, owner="w", lease_seconds=30)
        assert claimed is not None
        assert claimed.ticket.priority is Priority.BACKFILL
        complete(session, claimed, screening_result())
    site.redis.flushall()
    assert Reconciler(site.settings, site.engine).run_once().enqueued > 0
    depths = queues.depths(site.redis, queues.EXPLAIN)
    assert depths[Priority.BACKFILL] == sum(depths.values()) > 0
    with transaction(site.engine) as session:
        (again, *_) = explanations.ask_again(session, waiting.row_id)
        frame = explanations.LEASES.claim(session, again, owner="w", lease_seconds=30)
        assert frame is not None
        assert (again.priority, frame.ticket.priority) == (Priority.BACKFILL, Priority.BACKFILL)


def test_flushall_in_the_middle_screens_each_once(site: Site) -> None:
    drop(site, 6)
    first = pop(site)
    with transaction(site.engine) as session:
        ticket = Ticket(row_id=first.args[0], attempt=first.args[1])
        claimed = screenings.LEASES.claim(session, ticket, owner="slow", lease_seconds=30)
    assert claimed is not None
    site.redis.flushall()
    assert Reconciler(site.settings, site.engine).run_once().enqueued == 5  # the sixth is in good hands
    assert len(consume(site)) == 5
    with transaction(site.engine) as session:
        screenings.LEASES.fail(session, claimed, BrokenMedia(name="a", reason="a test"))
    assert [screening.attempt for screening in site.screenings()] == [1] * 6


def test_several_at_once_enqueue_each_job_once(site: Site) -> None:
    drop(site, 10)
    site.redis.flushall()
    found: list[Repairs] = []
    threads = [
        threading.Thread(target=lambda: found.append(Reconciler(site.settings, site.engine).run_once()))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(repairs.enqueued for repairs in found) == 10
    assert site.depth() == 10


def test_an_expired_lease_gives_the_next_attempt_and_fences_the_first(site: Site) -> None:
    drop(site, 1)
    silent = claim_and_fall_silent(site, attempt=1)
    assert Reconciler(site.settings, site.engine).run_once() == Repairs(taken_back=1, enqueued=1)
    (screening,) = site.screenings()
    assert (screening.status, screening.attempt) == (ScreeningStatus.QUEUED, 2)
    with transaction(site.engine) as session:
        assert not screenings.LEASES.renew(session, silent, lease_seconds=30)
    assert consume(site) == [1]


def test_a_screening_that_kills_its_workers_ends(site: Site) -> None:
    drop(site, 1)
    reconciler = Reconciler(site.settings, site.engine)
    attempts = site.settings.worker.max_attempts
    for attempt in range(1, attempts + 1):
        claim_and_fall_silent(site, attempt=attempt)
        reconciler.run_once()
    (screening,) = site.screenings()
    assert (screening.status, screening.error_code) == (ScreeningStatus.FAILED, "attempts_exhausted")
    assert reconciler.run_once() == NOTHING


def test_right_after_an_outage_an_expired_lease_proves_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody could renew it; a live worker does as soon as it can, and loses none of its work."""
    clock = [time.time()]
    monkeypatch.setattr(reconciler_module.time, "time", lambda: clock[0])
    drop(site, 1)
    reconciler = Reconciler(site.settings, site.engine)
    reconciler.run_once()
    claimed = claim_and_fall_silent(site, attempt=1)
    clock[0] += site.settings.ingest.reconcile_seconds + site.settings.worker.lease_seconds
    assert reconciler.run_once().taken_back == 0
    with transaction(site.engine) as session:
        assert screenings.LEASES.renew(session, claimed, lease_seconds=-1)  # but then it does fall silent
    clock[0] += site.settings.worker.lease_seconds + 1
    assert reconciler.run_once().taken_back == 1
    # Looks that are always late, behind the hashing of large files, do not put it off for ever.
    claim_and_fall_silent(site, attempt=2)
    for expected in (0, 1):
        clock[0] += 10 * site.settings.worker.lease_seconds
        assert reconciler.run_once().taken_back == expected


def claim_and_fall_silent(site: Site, *, attempt: int) -> screenings.Claim:
    (screening,) = site.screenings()
    with transaction(site.engine) as session:
        claimed = screenings.LEASES.claim(
            session,
            Ticket(row_id=screening.id, attempt=attempt),
            owner="silent",
            lease_seconds=1,
            now=utc_now() - timedelta(seconds=60),
        )
    assert claimed is not None
    return claimed


@pytest.mark.parametrize("status", [JobStatus.FINISHED, JobStatus.FAILED, JobStatus.STOPPED])
def test_a_job_that_ended_while_its_row_waits_is_replaced(site: Site, status: JobStatus) -> None:
    drop(site, 1)
    pop(site).set_status(status)
    assert Reconciler(site.settings, site.engine).run_once().enqueued == 1
    assert consume(site) == [1]


@pytest.mark.parametrize(("alive", "enqueued"), [(True, 0), (False, 1)])
@pytest.mark.parametrize("hours", [-5, 0, 5])
def test_a_job_whose_worker_died_before_it_claimed_comes_back_soon(
    site: Site, alive: bool, enqueued: int, hours: int
) -> None:
    """Redis would call it started for as long as its timeout; the worker's clock may be wrong."""
    drop(site, 1)
    target = queues.queue(site.redis, queues.SCREEN)
    job = pop(site)
    worker = SimpleWorker([target], connection=site.redis, serializer=JSONSerializer)
    worker.prepare_job_execution(job, remove_from_intermediate_queue=True)
    started = utc_now() + timedelta(hours=hours)
    if not alive:
        site.redis.delete(worker.key)  # it expires soon after a worker has died
    site.redis.hset(job.key, "started_at", started.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    assert Reconciler(site.settings, site.engine).run_once().enqueued == enqueued
    assert site.depth() == enqueued


def test_outages_are_reported_and_survived(site: Site) -> None:
    drop(site, 1)
    site.redis.flushall()
    away = site.settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1/0")})
    with pytest.raises(ServiceUnavailable, match="Redis"):
        Reconciler(away, site.engine).run_once()
    with pytest.raises(ServiceUnavailable, match="database"):
        Reconciler(site.settings, connect("postgresql+psycopg://127.0.0.1:1/none")).run_once()
    assert Reconciler(site.settings, site.engine).run_once().enqueued == 1


def test_a_long_queue_is_looked_at_once_not_once_a_job(site: Site) -> None:
    drop(site, 30)
    with Redis.from_url(site.settings.queue_url) as observer:
        before = commands(observer)
        assert Reconciler(site.settings, site.engine).run_once() == NOTHING
        assert commands(observer) - before < 12


def commands(redis: Redis) -> int:
    stats: dict[str, int] = redis.info("stats")
    return stats["total_commands_processed"]
