"""RQ's queue, popped so that a worker of several queues loses no job where it crashes.

RQ itself moves a job to the list of those just popped (LMOVE) only where a worker has one queue; of several
it pops with BLPOP, and what a killed worker had popped is nowhere until the reconciler looks.
"""

from collections.abc import Iterable
from typing import Any

from redis import Redis
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.job import Job

# Moves the first job of the first list that has one to the list behind it, and reads it, in one round trip.
MOVE = """
for place = 1, #KEYS, 2 do
    local job = redis.call('LMOVE', KEYS[place], KEYS[place + 1], 'LEFT', 'RIGHT')
    if job then return {KEYS[place], job, redis.call('HGETALL', ARGV[1] .. job)} end
end
return nil
"""


class MovedJob(Job):
    def perform(self) -> Any:
        """Without RQ's PERSIST, a round trip of its own: our jobs expire only once they are over."""
        self._result = self._execute()
        return self._result


class MovingQueue(Queue):
    job_class = MovedJob

    @classmethod
    def dequeue_any(  # noqa: PLR0917  RQ's signature
        cls,
        queues: Iterable[Queue],
        timeout: int | None,
        connection: Redis,
        job_class: type[Job] | None = None,
        serializer: Any = None,
        death_penalty_class: Any = None,
    ) -> tuple[Job, Queue] | None:
        """The first job of the first of `queues` that has one, waiting up to `timeout` seconds for it."""
        del job_class, serializer, death_penalty_class  # the queues have them
        by_key = {each.key: each for each in queues}
        lists = [key for each in by_key.values() for key in (each.key, each.intermediate_queue_key)]
        prefix = Job.redis_job_namespace_prefix
        while (popped := connection.eval(MOVE, len(lists), *lists, prefix)) is not None:
            found = by_key[popped[0].decode()]
            values = iter(popped[2])
            job = _of(found, popped[1], dict(zip(values, values, strict=True)))
            if job is not None:
                return job, found
        if timeout is None:
            return None
        # Nothing waits anywhere. No command waits for several lists and moves, so that this pop alone leaves
        # a moment in which the job is in no list; its row in SQL is still queued.
        key, job_id = cls.lpop(list(by_key), timeout, connection=connection)
        target = by_key[key.decode()]
        connection.lpush(target.intermediate_queue_key, job_id)
        job = _of(target, job_id, connection.hgetall(Job.key_for(job_id.decode())))
        return cls.dequeue_any(by_key.values(), timeout, connection) if job is None else (job, target)


def _of(queue: Queue, job_id: Any, stored: Any) -> Job | None:
    """The job that was popped, from its hash; None if only its number was left."""
    job = queue.job_class(job_id.decode(), connection=queue.connection, serializer=queue.serializer)
    try:
        job.restore(stored)
        known = job.origin == queue.name
    except NoSuchJobError:
        known = False
    if known:
        return job
    queue.connection.lrem(queue.intermediate_queue_key, 1, job_id)
    return None
