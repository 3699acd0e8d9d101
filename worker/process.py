"""A worker process: one kind of work, one device, the model loaded once.

A subclass of RQ's SimpleWorker, since a forking worker cannot use a loaded CUDA model and a spawning one
loads it for every job.
"""

import faulthandler
import itertools
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import FrameType
from typing import Any

import cv2
import structlog
import torch
from redis.exceptions import RedisError
from rq import SimpleWorker
from rq.executions import Execution
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from rq.utils import now, utcformat
from rq.worker import WorkerStatus

from core import metrics, queues, traces
from core.errors import ServiceUnavailable
from core.priorities import Priority, order, turns
from core.settings import Settings
from storage import migrate
from storage.signs.server import shown
from worker.context import Context, install
from worker.moving_queue import MovingQueue

log = structlog.get_logger()

HEARTBEAT_SECONDS = 10
WORKER_TTL_SECONDS = 45  # a killed worker is gone from RQ's list after this
HANG_SECONDS = 120  # after a job's deadline: no alarm reaches native code, so the process ends itself
STDERR = 2  # the descriptor: whatever happens to sys.stderr, the log gets the stack
EXPLAIN_NICENESS = 10  # screening goes first where both share a CPU
RECONNECT_SECONDS = 2.0


class QueueWorker(SimpleWorker):
    """Runs jobs in this process, each priority in its turn, and sends Redis heartbeats, during a job too."""

    queue_class = MovingQueue
    turns: Iterator[Priority]  # without an end

    jobs_done = 0
    stopped = False
    beaten_at = float("-inf")  # time.monotonic() of the last heartbeat of its own
    suspension_asked_at = float("-inf")  # time.monotonic()
    said: str | None = None  # the state that Redis was told last
    stop_seconds = 20.0  # WorkerSettings.stop_seconds
    write_metrics: Callable[[], None] | None = None  # with each heartbeat

    def work(self, *arguments: Any, **options: Any) -> bool:
        ended = threading.Event()
        beating = threading.Thread(target=self._beat, args=(ended,), name="heartbeat", daemon=True)
        beating.start()
        try:
            return super().work(*arguments, **options)
        finally:
            ended.set()
            beating.join()

    def execute_job(self, job: Job, queue: Any) -> None:
        if job.timeout:
            # A C thread: it works even if the hanging one holds the GIL.
            faulthandler.dump_traceback_later(job.timeout + HANG_SECONDS, exit=True, file=STDERR)
        try:
            super().execute_job(job, queue)
            self.jobs_done += 1
        finally:
            faulthandler.cancel_dump_traceback_later()

    def take_turns(self, shares: Mapping[Priority, int]) -> None:
        """Before the first job; its queues are one for each priority, the most urgent first."""
        self.turns = itertools.cycle(turns(shares))
        self.reorder_queues(None)

    def reorder_queues(self, reference_queue: Any) -> None:
        """RQ's hook after each pop: where the next one looks first, and where else."""
        del reference_queue
        by_priority = dict(zip(Priority, self.queues, strict=True))
        self._ordered_queues = [by_priority[each] for each in order(next(self.turns))]

    # What RQ writes around a job, in one round trip before it and one after it.

    def prepare_execution(self, job: Job) -> Any:
        """Left to `prepare_job_execution`, which RQ calls next."""

    def prepare_job_execution(self, job: Job, remove_from_intermediate_queue: bool = False) -> None:
        del remove_from_intermediate_queue  # RQ asks for it only from a worker of one queue
        seconds = self.get_heartbeat_ttl(job)
        with self.connection.pipeline() as pipeline:
            self.execution = Execution.create(job, seconds, pipeline=pipeline, worker_name=self.name)
            self.set_state(WorkerStatus.BUSY, pipeline)
            self.set_current_job_id(job.id, pipeline=pipeline)
            self.heartbeat(pipeline=pipeline)
            job.prepare_for_execution(self.name, pipeline=pipeline)
            origin = next(each for each in self.queues if each.name == job.origin)
            pipeline.lrem(origin.intermediate_queue_key, 1, job.id)
            pipeline.execute()

    def handle_job_success(self, job: Job, queue: Any, started_job_registry: Any) -> None:
        """Without what RQ does for jobs that have others waiting for them, repetitions or results."""
        del queue, started_job_registry
        assert job.started_at is not None and job.ended_at is not None  # noqa: S101, PT018  it has just run
        seconds = job.get_result_ttl(self.default_result_ttl)
        with self.connection.pipeline() as pipeline:
            self.increment_successful_job_count(pipeline=pipeline)
            self.increment_total_working_time(job.ended_at - job.started_at, pipeline)
            ended: dict[Any, Any] = {"status": JobStatus.FINISHED, "ended_at": utcformat(job.ended_at)}
            pipeline.hset(job.key, mapping=ended)
            pipeline.expire(job.key, seconds)
            job.finished_job_registry.add(job, seconds, pipeline)
            self.cleanup_execution(job, pipeline=pipeline)
            self.set_state(WorkerStatus.IDLE, pipeline)
            pipeline.execute()

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        del timeout
        # RQ asks for six around each job, of two commands each; the worker's entry outlives several.
        if time.monotonic() - self.beaten_at < HEARTBEAT_SECONDS / 2:
            return
        # RQ would list a worker that was killed in a job until that job's timeout.
        super().heartbeat(WORKER_TTL_SECONDS, pipeline)
        self.beaten_at = time.monotonic()

    def check_for_suspension(self, burst: bool) -> None:
        """`rq suspend` is heeded soon: asked before each job it would be a round trip for each."""
        if time.monotonic() - self.suspension_asked_at >= HEARTBEAT_SECONDS / 2:
            super().check_for_suspension(burst)
            self.suspension_asked_at = time.monotonic()

    def set_state(self, state: str, pipeline: Any = None) -> None:
        """RQ says that it is idle after each job, and once more before the next one."""
        if state != self.said:
            super().set_state(state, pipeline)
            self.said = state

    def handle_execution_ended(self, job: Job, queue: Any, heartbeat_ttl: int) -> None:
        """Without RQ's heartbeat of a job that is over: its outcome follows at once."""
        del queue, heartbeat_ttl
        job.ended_at = now()

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        self.stopped = True
        # As if a second one came: whoever sent the first soon kills, and a killed worker gives nothing back.
        last = threading.Timer(self.stop_seconds, os.kill, (os.getpid(), signal.SIGTERM))
        last.daemon = True
        last.start()
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]

    def _beat(self, ended: threading.Event) -> None:
        while not ended.wait(HEARTBEAT_SECONDS):
            try:
                self.connection.expire(self.key, WORKER_TTL_SECONDS)
            except RedisError as error:
                log.warning("heartbeat missed", reason=str(error))
            try:
                if self.write_metrics is not None:
                    self.write_metrics()
            except OSError as error:
                log.warning("metrics not written", reason=str(error))


def run_worker(name: str, settings: Settings, *, burst: bool = False, context: Context | None = None) -> int:
    """Do the work called `name`, of all priorities, until told to stop; returns the exit code.

    SIGTERM or SIGINT ends it after the running job, with 0; a second one, or `stop_seconds` after the first,
    gives the job back and ends at once. After `recycle_jobs` jobs it ends with RECYCLE_EXIT_CODE. It waits
    for a Redis that goes down. `context`: what its jobs use, None is that of the settings.

    Raises ServiceUnavailable if the database is not migrated or, in a burst, Redis does not answer, and
    SchemaTooNew if a newer release has migrated it beyond what this one can work with.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit_now)  # until RQ's handlers take over, there is no job to finish
    # A second thread for a face or a frame costs more than it saves, and the cores have other work.
    cv2.setNumThreads(1)
    context = Context.of(settings) if context is None else context
    install(context)
    migrate.require(context.engine)
    loaded = threading.Event()
    try:
        with traces.exported(settings, f"worker {name}"), shown(settings, f"worker {name}", loaded=loaded):
            # Before the first job.
            _ = (context.pipeline, context.shadow) if name == queues.SCREEN else context.classifier
            loaded.set()
            if torch.cuda.is_available():
                metrics.GPU_BYTES.set_function(torch.cuda.memory_reserved)
            return _work(name, context, burst=burst)
    finally:
        metrics.forget(settings, f"worker_{name}")


def _work(name: str, context: Context, *, burst: bool) -> int:
    settings = context.settings
    left = settings.worker.recycle_jobs
    while left > 0:
        worker = None
        try:
            worker = _worker(name, context)
            log.info("worker ready", queue=name)
            worker.work(burst=burst, max_jobs=left, logging_level="WARNING")
        except (RedisError, OSError, ServiceUnavailable) as error:
            if burst:
                raise queues.unavailable(settings.queue_url, error) from error
            log.warning("Redis is away; trying again", reason=str(error))
        if worker is not None:
            left -= worker.jobs_done
            # Checked even if Redis failed: the request to stop must not get lost.
            if burst or worker.stopped:
                return 0
        context.forget_redis()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _exit_now)
        time.sleep(RECONNECT_SECONDS if left > 0 else 0)
    return queues.RECYCLE_EXIT_CODE


def _exit_now(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise SystemExit(0)


def _worker(name: str, context: Context) -> QueueWorker:
    connection = context.redis
    worker = QueueWorker(
        [
            MovingQueue(queues.name_of(name, each), connection=connection, serializer=JSONSerializer)
            for each in Priority
        ],
        name=f"{name}-{context.owner}-{uuid.uuid4().hex[:6]}",
        connection=connection,
        serializer=JSONSerializer,
        worker_ttl=WORKER_TTL_SECONDS,
        job_monitoring_interval=HEARTBEAT_SECONDS,
    )
    worker.take_turns(context.settings.shares.by_priority())
    worker.stop_seconds = context.settings.worker.stop_seconds
    worker.write_metrics = partial(metrics.write, context.settings, f"worker_{name}")
    return worker
