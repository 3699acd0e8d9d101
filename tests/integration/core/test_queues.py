"""Enqueueing against a real Valkey."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from core import queues
from core.errors import ServiceUnavailable
from core.priorities import Priority


@pytest.fixture
def redis(valkey_url: str) -> Iterator[Redis]:
    connection = queues.connect(valkey_url)
    connection.flushall()
    yield connection
    connection.close()


def test_a_job_names_its_function_and_carries_json(redis: Redis) -> None:
    assert queues.enqueue_screen(redis, 7, 2, job_seconds=60)
    job = Job.fetch("screen-7-2", connection=redis, serializer=JSONSerializer)
    assert (job.func_name, list(job.args)) == ("worker.jobs.screen", [7, 2])
    assert job.timeout == 60
    assert queues.depth(redis, queues.SCREEN) == 1


def test_the_same_attempt_is_enqueued_once(redis: Redis) -> None:
    assert queues.enqueue_explain(redis, 3, 1, job_seconds=60)
    assert not queues.enqueue_explain(redis, 3, 1, job_seconds=60)
    assert queues.enqueue_explain(redis, 3, 2, job_seconds=60)
    assert queues.depth(redis, queues.EXPLAIN) == 2


def test_each_priority_has_its_queue_and_an_attempt_is_in_one(redis: Redis) -> None:
    for number, priority in enumerate(Priority):
        assert queues.enqueue_screen(redis, number, 1, job_seconds=60, priority=priority)
        assert not queues.enqueue_screen(redis, number, 1, job_seconds=60, priority=Priority.INTERACTIVE)
    names = ["screen-interactive", "screen", "screen-backfill"]
    assert [redis.llen(f"rq:queue:{name}") for name in names] == [1, 1, 1]
    assert queues.depths(redis, queues.SCREEN) == dict.fromkeys(Priority, 1)
    assert queues.depth(redis, queues.SCREEN) == 3


def test_a_leftover_hash_does_not_block_its_job(redis: Redis) -> None:
    queues.enqueue_screen(redis, 1, 1, job_seconds=60)
    redis.delete("rq:queue:screen")  # a crash between the two steps of an enqueue
    assert queues.depth(redis, queues.SCREEN) == 0
    assert queues.enqueue_screen(redis, 1, 1, job_seconds=60)
    assert queues.depth(redis, queues.SCREEN) == 1


def test_a_flushed_server_takes_the_job_again(redis: Redis) -> None:
    queues.enqueue_screen(redis, 1, 1, job_seconds=60)
    redis.flushall()
    assert queues.enqueue_screen(redis, 1, 1, job_seconds=60)


def test_a_server_that_is_away_is_named_with_its_remedy() -> None:
    with pytest.raises(ServiceUnavailable, match="FACEWARDEN_REDIS_URL") as caught:
        queues.connect("redis://user:secret@127.0.0.1:1/0")
    assert "secret" not in str(caught.value)


def test_only_what_no_list_names_is_not_waiting(redis: Redis) -> None:
    for number in range(3):
        queues.enqueue_screen(redis, number, 1, job_seconds=60)
    redis.lmove("rq:queue:screen", queues.queue(redis, queues.SCREEN).intermediate_queue_key)
    tickets = [(0, 1), (1, 1), (2, 1), (2, 2), (7, 1)]
    assert queues.not_waiting(redis, queues.SCREEN, tickets) == [(2, 2), (7, 1)]


def test_a_server_that_hangs_does_not_hang_who_asks() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, never answers
        address = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        with pytest.raises(ServiceUnavailable, match="Timeout"):
            queues.connect(address, answer_seconds=0.2)


def test_the_policy_that_may_drop_jobs_is_seen(redis: Redis) -> None:
    redis.config_set("maxmemory-policy", "allkeys-lru")
    assert queues.eviction_policy(redis) == "allkeys-lru"
    redis.config_set("maxmemory-policy", "noeviction")
    assert queues.eviction_policy(redis) == "noeviction"


def test_a_popped_job_that_nobody_starts_is_lost_after_a_minute(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Valkey that is killed between pop and start comes back with the job in the list of those popped."""
    queues.enqueue_explain(redis, 3, 1, job_seconds=60)
    popped = queues.queue(redis, queues.EXPLAIN).intermediate_queue_key
    redis.lmove("rq:queue:explain", popped)
    for _ in range(2):
        assert queues.not_waiting(redis, queues.EXPLAIN, [(3, 1)]) == [], (
            "its worker may be about to start it"
        )
    later = datetime.now(UTC) + timedelta(seconds=61)
    monkeypatch.setattr("rq.intermediate_queue.now", lambda: later)
    assert queues.not_waiting(redis, queues.EXPLAIN, [(3, 1)]) == [(3, 1)]
    assert queues.enqueue_explain(redis, 3, 1, job_seconds=60)
    assert queues.depth(redis, queues.EXPLAIN) == 1
    assert redis.llen(popped) == 0
