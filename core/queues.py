"""The queues: Redis is only transport, SQL is the truth.

Each kind of work has three, one for each priority. Jobs are named by dotted string and carry JSON, so that
whoever enqueues needs none of the worker's code and whoever reaches Redis cannot run code in a worker.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.exceptions import DuplicateJobError, NoSuchJobError
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from core.errors import ServiceUnavailable
from core.priorities import Priority

# The kinds of work. A kind's normal queue has its name alone, as earlier releases know it.
SCREEN = "screen"
EXPLAIN = "explain"
JOBS = {SCREEN: "worker.jobs.screen", EXPLAIN: "worker.jobs.explain"}

# The outcome of a job is in SQL; Redis forgets it soon.
RESULT_SECONDS = 60
FAILURE_SECONDS = 3600
RECYCLE_EXIT_CODE = 75  # of a worker that has done its share of jobs: start another at once
CONNECT_SECONDS = 5
ANSWER_SECONDS = 10.0  # for those who do not wait for jobs: a server that hangs must not hang them


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


def name_of(kind: str, priority: Priority) -> str:
    """The name of the queue for this kind of work."""
    return kind if priority is Priority.NORMAL else f"{kind}-{priority}"


def queue(connection: Redis, kind: str, priority: Priority = Priority.NORMAL) -> Queue:
    return Queue(name_of(kind, priority), connection=connection, serializer=JSONSerializer)


def _all(connection: Redis, kind: str) -> list[Queue]:
    return [queue(connection, kind, priority) for priority in Priority]


def enqueue_screen(
    connection: Redis,
    screening_id: int,
    attempt: int,
    *,
    job_seconds: int,
    priority: Priority = Priority.NORMAL,
) -> bool:
    """Enqueue one attempt at one screening; False where it is already on its way, in whichever queue."""
    return _enqueue(connection, SCREEN, (screening_id, attempt), job_seconds=job_seconds, priority=priority)


def enqueue_explain(
    connection: Redis,
    flagged_frame_id: int,
    attempt: int,
    *,
    job_seconds: int,
    priority: Priority = Priority.NORMAL,
) -> bool:
    """Enqueue the explanation of one flagged frame; False where it is already on its way."""
    return _enqueue(
        connection, EXPLAIN, (flagged_frame_id, attempt), job_seconds=job_seconds, priority=priority
    )


def _enqueue(
    connection: Redis,
    kind: str,
    arguments: tuple[int, int],
    *,
    job_seconds: int,
    priority: Priority,
) -> bool:
    """Raises ServiceUnavailable where Redis does not answer."""
    target = queue(connection, kind, priority)
    job_id = _job_id(kind, arguments)
    options: dict[str, Any] = {
        "job_id": job_id,
        "args": arguments,
        "timeout": job_seconds,
        "result_ttl": RESULT_SECONDS,
        "failure_ttl": FAILURE_SECONDS,
        "unique": True,
    }
    try:
        try:
            target.enqueue_call(JOBS[kind], **options)
        except DuplicateJobError:
            if _is_live(connection, kind, job_id):
                return False
            # A leftover: its hash exists, but no worker will ever pick it up.
            _forget(connection, job_id)
            target.enqueue_call(JOBS[kind], **options)
    except (RedisError, OSError) as error:
        raise unavailable(str(connection), error) from error
    return True


def not_waiting(connection: Redis, kind: str, tickets: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Those of the tickets (number, attempt) that no list of the kind's queues names: running, or lost.

    A query for each list, however long they are. Raises ServiceUnavailable where Redis does not answer.
    """
    if not tickets:
        return []
    try:
        waiting = _listed(connection, kind, without_stuck=True)
    except (RedisError, OSError) as error:
        raise unavailable(str(connection), error) from error
    return [ticket for ticket in tickets if _job_id(kind, ticket) not in waiting]


def _job_id(kind: str, ticket: tuple[int, int]) -> str:
    return f"{kind}-{ticket[0]}-{ticket[1]}"


def _listed(connection: Redis, kind: str, *, without_stuck: bool = False) -> set[str]:
    """The jobs that wait, and those that a worker has just popped and not yet marked as started.

    With `without_stuck`, jobs that were popped a minute ago and never started are dropped from their list:
    their worker, or their Redis, died then. RQ's own workers look for such jobs every ten minutes only.
    """
    places = _all(connection, kind)
    with connection.pipeline(transaction=False) as asked:
        for each in places:
            asked.lrange(each.key, 0, -1)
            asked.lrange(each.intermediate_queue_key, 0, -1)
        found = [{job_id.decode() for job_id in listed} for listed in asked.execute()]
    for each, popped in zip(places, found[1::2], strict=True):
        for job_id in set(popped) if without_stuck else ():
            if _is_stuck(each, job_id):
                each.intermediate_queue.remove(job_id)
                popped.remove(job_id)
    return set().union(*found)


def _is_stuck(place: Queue, job_id: str) -> bool:
    popped = place.intermediate_queue
    return not popped.set_first_seen(job_id) and popped.should_be_cleaned_up(job_id)


def _is_live(connection: Redis, kind: str, job_id: str) -> bool:
    """Whether a job that has a hash will still run, or runs."""
    try:
        job = Job.fetch(job_id, connection=connection, serializer=JSONSerializer)
    except NoSuchJobError:
        return False
    status = job.get_status()
    if status == JobStatus.QUEUED:
        # A crash between the two steps of an enqueue or a pop leaves a hash that no list names.
        return job_id in _listed(connection, kind)
    if status != JobStatus.STARTED or not job.worker_name:
        return False
    # A started job's first act is to claim its row, so one whose row still waits has perhaps lost its worker.
    # A dead worker's own entry expires by Redis's clock; the job would be called started until its timeout.
    worker = Worker.redis_worker_namespace_prefix + job.worker_name
    return bool(connection.hget(worker, "current_job") == job_id.encode())


def _forget(connection: Redis, job_id: str) -> None:
    try:
        Job.fetch(job_id, connection=connection, serializer=JSONSerializer).delete()
    except NoSuchJobError:
        connection.delete(Job.key_for(job_id))


def depths(connection: Redis, kind: str) -> dict[Priority, int]:
    """How many jobs wait, by priority. Raises ServiceUnavailable where Redis does not answer."""
    try:
        return {priority: int(queue(connection, kind, priority).count) for priority in Priority}
    except (RedisError, OSError) as error:
        raise unavailable(str(connection), error) from error


def depth(connection: Redis, kind: str) -> int:
    """How many jobs wait in all. Raises ServiceUnavailable where Redis does not answer."""
    return sum(depths(connection, kind).values())


def oldest(connection: Redis, kind: str) -> dict[Priority, datetime]:
    """When the job that has waited longest was enqueued, by priority; none where nothing waits.

    Raises ServiceUnavailable where Redis does not answer.
    """
    found = {}
    try:
        for priority in Priority:
            head: Any = connection.lindex(queue(connection, kind, priority).key, 0)
            told: Any = connection.hget(Job.key_for(head.decode()), "enqueued_at") if head else None
            if told:
                found[priority] = datetime.fromisoformat(told.decode())
    except (RedisError, OSError) as error:
        raise unavailable(str(connection), error) from error
    return found


def eviction_policy(connection: Redis) -> str:
    """Redis must never drop a job to make room: this should say `noeviction`."""
    answer: Any = connection.config_get("maxmemory-policy")
    return str(answer.get("maxmemory-policy", "unknown"))


def server_version(connection: Redis) -> str:
    told: Any = connection.info("server")
    return f"{told.get('server_name', 'redis')} {told.get('valkey_version') or told['redis_version']}"


def now(connection: Redis) -> float:
    """Seconds of the server's clock."""
    told: Any = connection.time()
    seconds, microseconds = told
    return float(seconds) + float(microseconds) / 1e6
