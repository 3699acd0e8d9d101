"""The queues: Redis is only transport, SQL is the truth.

Jobs are named by dotted string and carry JSON, so that whoever enqueues needs none of the worker's code and
whoever reaches Redis cannot run code in a worker.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.exceptions import DuplicateJobError, NoSuchJobError
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from core.errors import ServiceUnavailable

SCREEN = "screen"
EXPLAIN = "explain"
SCREEN_JOB = "worker.jobs.screen"
EXPLAIN_JOB = "worker.jobs.explain"

# The outcome of a job is in SQL; Redis forgets it soon.
RESULT_SECONDS = 60
FAILURE_SECONDS = 3600
RECYCLE_EXIT_CODE = 75  # of a worker that has done its share of jobs: start another at once
CONNECT_SECONDS = 5
ANSWER_SECONDS = 10.0  # for those who do not wait for jobs: a server that hangs must not hang them

# A started job's first act is to claim its row. One whose row still waits after this has lost its worker;
# Redis would say "started" for as long as the job's timeout.
CLAIM_SECONDS = 60


def connect(url: str, *, answer_seconds: float | None = None) -> Redis:
    """A connection that has answered. Raises ServiceUnavailable where none does.

    `answer_seconds` bounds the wait for each answer. A worker leaves it out: its blocking pop waits longer
    than any bound that would help here.
    """
    connection = Redis.from_url(
        url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=answer_seconds or None
    )
    try:
        connection.ping()
    except (RedisError, OSError) as error:
        raise unavailable(url, error) from error
    return connection


def unavailable(url: str, error: Exception) -> ServiceUnavailable:
    """The error of a Redis that does not answer, the password left out."""
    return ServiceUnavailable(
        service="Redis",
        address=url.rsplit("@", 1)[-1],
        reason=str(error) or type(error).__name__,
        setting="FACEWARDEN_REDIS_URL",
    )


def queue(connection: Redis, name: str) -> Queue:
    return Queue(name, connection=connection, serializer=JSONSerializer)


def enqueue_screen(
    connection: Redis, screening_id: int, attempt: int, *, job_seconds: int, urgent: bool = False
) -> bool:
    """Enqueue one attempt at one screening, an urgent one before all that wait.

    False where it is already on its way.
    """
    return _enqueue(connection, SCREEN, SCREEN_JOB, (screening_id, attempt), job_seconds, urgent=urgent)


def enqueue_explain(connection: Redis, flagged_frame_id: int, attempt: int, *, job_seconds: int) -> bool:
    """Enqueue the explanation of one flagged frame; False where it is already on its way."""
    return _enqueue(connection, EXPLAIN, EXPLAIN_JOB, (flagged_frame_id, attempt), job_seconds)


def _enqueue(
    connection: Redis,
    name: str,
    function: str,
    arguments: tuple[int, int],
    job_seconds: int,
    *,
    urgent: bool = False,
) -> bool:
    """Raises ServiceUnavailable where Redis does not answer."""
    target = queue(connection, name)
    job_id = _job_id(name, arguments)
    options: dict[str, Any] = {
        "job_id": job_id,
        "args": arguments,
        "timeout": job_seconds,
        "result_ttl": RESULT_SECONDS,
        "failure_ttl": FAILURE_SECONDS,
        "unique": True,
        "at_front": urgent,
    }
    try:
        try:
            target.enqueue_call(function, **options)
        except DuplicateJobError:
            if _is_live(target, job_id):
                return False
            # A leftover: its hash exists, but no worker will ever pick it up.
            _forget(target, job_id)
            target.enqueue_call(function, **options)
    except (RedisError, OSError) as error:
        raise unavailable(str(connection), error) from error
    return True


def not_waiting(connection: Redis, name: str, tickets: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Those of the tickets (number, attempt) that no list of the queue names: running, or lost.

    One query for all, however long the queue. Raises ServiceUnavailable where Redis does not answer.
    """
    try:
        waiting = _listed(queue(connection, name))
    except (RedisError, OSError) as error:
        raise unavailable(str(connection), error) from error
    return [ticket for ticket in tickets if _job_id(name, ticket) not in waiting]


def _job_id(name: str, ticket: tuple[int, int]) -> str:
    return f"{name}-{ticket[0]}-{ticket[1]}"


def _listed(target: Queue) -> set[str]:
    """The jobs that wait, and those that a worker has just popped and not yet marked as started."""
    popped: Any = target.connection.lrange(target.intermediate_queue_key, 0, -1)
    return {*target.get_job_ids(), *(job_id.decode() for job_id in popped)}


def _is_live(target: Queue, job_id: str) -> bool:
    """Whether a job that has a hash will still run, or runs."""
    try:
        job = Job.fetch(job_id, connection=target.connection, serializer=JSONSerializer)
    except NoSuchJobError:
        return False
    status = job.get_status()
    if status == JobStatus.QUEUED:
        # A crash between the two steps of an enqueue or a pop leaves a hash that no list names.
        return job_id in _listed(target)
    if status != JobStatus.STARTED or job.started_at is None:
        return False
    age: timedelta = datetime.now(UTC) - job.started_at
    return age < timedelta(seconds=CLAIM_SECONDS)


def _forget(target: Queue, job_id: str) -> None:
    try:
        Job.fetch(job_id, connection=target.connection, serializer=JSONSerializer).delete()
    except NoSuchJobError:
        target.connection.delete(Job.key_for(job_id))


def depth(connection: Redis, name: str) -> int:
    """How many jobs wait. Raises ServiceUnavailable where Redis does not answer."""
    try:
        return int(queue(connection, name).count)
    except (RedisError, OSError) as error:
        raise unavailable(str(connection), error) from error


def eviction_policy(connection: Redis) -> str:
    """Redis must never drop a job to make room: this should say `noeviction`."""
    answer: Any = connection.config_get("maxmemory-policy")
    return str(answer.get("maxmemory-policy", "unknown"))
