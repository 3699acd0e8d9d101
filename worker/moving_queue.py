"""RQ's queue, popped so that a worker of several queues loses no job where it crashes.

RQ itself moves a job to the list of those just popped (LMOVE) only where a worker has one queue; of several
it pops with BLPOP, and what a killed worker had popped is nowhere until the reconciler looks.
"""

from collections.abc import Iterable
from typing import Any

from redis import Redis
from rq import Queue
from rq.job import Job


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
        made: dict[str, Any] = {
            "connection": connection,
            "job_class": job_class,
            "serializer": serializer,
            "death_penalty_class": death_penalty_class,
        }
        by_key = {each.key: each for each in queues}
        for each in by_key.values():
            found: tuple[Job, Queue] | None = super().dequeue_any([each], None, **made)
            if found is not None:
                return found
        if timeout is None:
            return None
        # Nothing waits anywhere. No command waits for several lists and moves, so that this pop alone leaves
        # a moment in which the job is in no list; its row in SQL is still queued.
        key, job_id = cls.lpop(list(by_key), timeout, connection=connection)
        target = by_key[key.decode()]
        connection.lpush(target.intermediate_queue_key, job_id)
        job = target.fetch_job(job_id.decode())
        if job is None:
            connection.lrem(target.intermediate_queue_key, 1, job_id)
            return cls.dequeue_any(by_key.values(), timeout, **made)
        return job, target
