"""Three queues of one kind of work, shared by a worker, on a real Valkey."""

import threading
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from redis import Redis

from core import queues
from core.priorities import Priority
from core.settings import Settings
from worker import process
from worker.context import Context
from worker.process import QueueWorker

BACKLOG = 40  # jobs: more than any test pops from one queue


@pytest.fixture
def redis(system: Settings) -> Iterator[Redis]:
    with queues.connect(system.queue_url) as connection:
        yield connection


@pytest.fixture
def worker(system: Settings) -> QueueWorker:
    return process._worker(queues.SCREEN, Context.of(system))


def enqueue(redis: Redis, first: int, priority: Priority, *, count: int = 1) -> None:
    for number in range(first, first + count):
        assert queues.enqueue_screen(redis, number, 1, job_seconds=60, priority=priority)


def pop(worker: QueueWorker, timeout: int | None = None) -> tuple[int, Priority]:
    """What the worker would do next: the screening, and the priority of its queue."""
    popped = worker.dequeue_job_and_maintain_ttl(timeout)
    assert popped is not None
    job, queue = popped
    return job.args[0], next(each for each in Priority if queues.name_of(queues.SCREEN, each) == queue.name)


def test_of_long_queues_each_gets_its_share(redis: Redis, worker: QueueWorker) -> None:
    for place, priority in enumerate(Priority):
        enqueue(redis, 1000 * place + 1, priority, count=BACKLOG)
    popped = [pop(worker)[1] for _ in range(50)]
    assert Counter(popped) == {Priority.INTERACTIVE: 30, Priority.NORMAL: 15, Priority.BACKFILL: 5}


def test_an_upload_is_next_but_one_at_the_latest_whatever_waits(redis: Redis, worker: QueueWorker) -> None:
    enqueue(redis, 1, Priority.BACKFILL, count=BACKLOG)
    for turn in range(12):  # more than there are turns in a round
        assert pop(worker)[1] is Priority.BACKFILL
        enqueue(redis, 1001 + turn, Priority.INTERACTIVE)
        waited = 0
        while pop(worker)[1] is not Priority.INTERACTIVE:
            waited += 1
        assert waited <= 1


def test_a_backfill_goes_on_while_uploads_never_end(redis: Redis, worker: QueueWorker) -> None:
    enqueue(redis, 1, Priority.BACKFILL, count=3)
    enqueue(redis, 1001, Priority.INTERACTIVE, count=BACKLOG)
    popped = [pop(worker) for _ in range(30)]
    assert [number for number, priority in popped if priority is Priority.BACKFILL] == [1, 2, 3]


def test_what_was_popped_is_listed_until_it_begins(redis: Redis, worker: QueueWorker) -> None:
    """A worker killed in between loses no job; the reconciler does not enqueue it twice either."""
    enqueue(redis, 1, Priority.NORMAL)
    enqueue(redis, 2, Priority.BACKFILL)
    assert pop(worker)[0] == 1
    waiting = threading.Timer(0.2, enqueue, (redis, 3, Priority.INTERACTIVE))
    assert pop(worker)[0] == 2
    waiting.start()
    assert pop(worker, timeout=20) == (3, Priority.INTERACTIVE)  # it slept, and was woken by this queue
    waiting.join()
    tickets = [(number, 1) for number in (1, 2, 3)]
    assert queues.depth(redis, queues.SCREEN) == 0
    assert queues.not_waiting(redis, queues.SCREEN, tickets) == []


def test_a_worker_empties_all_three_and_leaves_nothing_listed(redis: Redis, worker: QueueWorker) -> None:
    for number, priority in enumerate(Priority):
        enqueue(redis, number + 1, priority)
    done: list[str] = []
    worker.perform_job = lambda job, queue: (  # type: ignore[method-assign]
        worker.prepare_job_execution(job),
        done.append(queue.name),
    )
    worker.work(burst=True, logging_level="WARNING")
    assert sorted(done) == ["screen", "screen-backfill", "screen-interactive"]
    tickets = [(number, 1) for number in (1, 2, 3)]
    assert queues.not_waiting(redis, queues.SCREEN, tickets) == tickets


def test_a_hash_without_its_job_is_passed_over(redis: Redis, worker: QueueWorker) -> None:
    enqueue(redis, 1, Priority.NORMAL)
    enqueue(redis, 2, Priority.NORMAL)
    redis.delete("rq:job:screen-1-1")
    assert pop(worker) == (2, Priority.NORMAL)


def test_a_job_takes_three_round_trips(
    redis: Redis, worker: QueueWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To pop it, to begin it, to end it: RQ's own bookkeeping took most of a job's time."""
    enqueue(redis, 1, Priority.NORMAL, count=4)
    sent: list[int] = []  # how many had been sent before each job's work began
    connection = worker.connection.connection_pool.connection_class
    send = connection.send_packed_command
    trips = 0

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal trips
        trips += 1
        return send(*arguments, **options)

    monkeypatch.setattr(connection, "send_packed_command", counted)
    monkeypatch.setattr("worker.jobs.screen", lambda *_: sent.append(trips))
    monkeypatch.setattr(process, "HEARTBEAT_SECONDS", 3600)
    worker.work(burst=True, logging_level="WARNING")
    assert [later - earlier for earlier, later in pairwise(sent)] == [3, 3, 3]
    assert worker.jobs_done == 4


def test_jobs_in_quick_succession_share_a_heartbeat(redis: Redis, worker: QueueWorker) -> None:
    enqueue(redis, 1, Priority.NORMAL, count=2)
    worker.beaten_at = float("inf")  # just now, however slow the machine is
    pop(worker)
    assert redis.hget(worker.key, "last_heartbeat") is None
    worker.beaten_at = float("-inf")  # long ago
    pop(worker)
    assert redis.hget(worker.key, "last_heartbeat") is not None
    assert 0 < redis.ttl(worker.key) <= process.WORKER_TTL_SECONDS
