"""RQ's queue, popped so that a worker of several queues loses no job where it crashes.

RQ itself moves a job to the list of those just popped (LMOVE) only where a worker has one queue; of several
it pops with BLPOP, and what a killed worker had popped is nowhere until the reconciler looks.
"""

from collections.abc import Iterable
from typing import Any

from redis import Redis
from rq import Queue
from rq.job import Job

# Moves the first job of the first list that has one to the list behind it, in one round trip.
MOVE = """
for place = 1, #KEYS, 2 do
    local job = redis.call('LMOVE', KEYS[place], KEYS[place + 1], 'LEFT', 'RIGHT')
    if job then return {KEYS[place], job} end
end
return nil
"""


class MovingQueue(Queue):
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
        while (popped := connection.eval(MOVE, len(lists), *lists)) is not None:
            found = by_key[popped[0].decode()]
            job = _of(found, popped[1])
            if job is not None:
                return job, found
        if timeout is None:
            return None
        # Nothing waits anywhere. No command waits for several lists and moves, so that this pop alone leaves
        # a moment in which the job is in no list; its row in SQL is still queued.
        key, job_id = cls.lpop(list(by_key), timeout, connection=connection)
        target = by_key[key.decode()]
        connection.lpush(target.intermediate_queue_key, job_id)
        job = _of(target, job_id)
        return cls.dequeue_any(by_key.values(), timeout, connection) if job is None else (job, target)


def _of(queue: Queue, job_id: Any) -> Job | None:
    """The job that was popped; None if only its number was left."""
    job = queue.fetch_job(job_id.decode())
    if job is None:
        queue.connection.lrem(queue.intermediate_queue_key, 1, job_id)
    return job
