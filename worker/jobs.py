"""The two jobs, run the same way. RQ calls them by name; their outcome is in SQL, not in Redis.

Running a job twice changes nothing: the second run finds the attempt taken or over and does nothing.

An attempt counts against its video if the video may be the cause: an unknown fault, a missed deadline, a
worker that fell silent. It does not if the installation is: a service or the disk was unavailable, or the
worker was told to stop.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import structlog
from prometheus_client import Counter
from rq.timeouts import JobTimeoutException
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from core import metrics, queues, traces
from core.errors import (
    CheckpointMissing,
    DecoderShot,
    FacewardenError,
    FileVanished,
    InputError,
    ObjectDamaged,
    ObjectStoreError,
    PermanentError,
    RetryableError,
    ServiceUnavailable,
    StaleAttempt,
)
from core.known import Match
from core.results import ExplanationResult, ScreeningResult
from storage import explanations, screenings, shadows
from storage.engine import single, transaction
from storage.known import hashes, matching
from storage.leases import Claim, Leases, Ticket
from storage.results import complete
from worker.context import Context, current
from worker.lease import Lease
from worker.outcome import to_result
from worker.patience import patiently
from worker.screening.screened import Screened

log = structlog.get_logger()

Outcome = TypeVar("Outcome")
Claimed = TypeVar("Claimed", bound=Claim)
Heartbeat = Callable[[], None]  # raises where the work must stop


@dataclass(frozen=True, kw_only=True)
class End:
    """How an attempt without a result ended."""

    reason: str
    counts: bool = True  # against the attempts that a video has
    at_once: bool = True  # enqueue the next one; else the reconciler does, once the cause may be gone


@dataclass(frozen=True, kw_only=True)
class Job(Generic[Claimed]):
    """One kind of work on the rows of one table."""

    leases: Leases[Any, Claimed]
    work: Callable[[Context, Claimed, Heartbeat], None]
    enqueue: Callable[..., bool]  # of core.queues, for the next attempt
    ended: Counter  # by outcome
    claiming: Callable[[Engine], AbstractContextManager[Session]]  # `single` where a claim is one statement


def screen(screening_id: int, attempt: int) -> None:
    """Screen the video of one screening and store what was found."""
    run(SCREEN, Ticket(row_id=screening_id, attempt=attempt))


def explain(flagged_frame_id: int, attempt: int) -> None:
    """Explain one flagged frame: Grad-CAM at once, then LIME."""
    run(EXPLAIN, Ticket(row_id=flagged_frame_id, attempt=attempt))


def run(job: Job[Claimed], ticket: Ticket) -> None:
    """Claim the row, keep its lease while the work is done, and store how it ended."""
    context = current()
    settings = context.settings.worker

    def claim() -> Claimed | None:
        with job.claiming(context.engine) as session:
            return job.leases.claim(
                session, ticket, owner=context.owner, lease_seconds=settings.lease_seconds
            )

    claimed = patiently(claim)
    if claimed is None:
        log.info("already taken or over", work=f"{job.leases.noun} {ticket.row_id}", attempt=ticket.attempt)
        return

    def renew() -> bool:
        with transaction(context.engine) as session:
            return job.leases.renew(session, claimed, lease_seconds=settings.lease_seconds)

    def work() -> None:
        with Lease(
            renew,
            name=claimed.name,
            attempt=ticket.attempt,
            lease_seconds=settings.lease_seconds,
            job_seconds=settings.job_seconds,
        ) as lease:
            job.work(context, claimed, lease.check)

    number = {job.leases.noun.replace(" ", "_"): ticket.row_id}
    with (
        traces.span(job.leases.noun, parent=claimed.traceparent, attempt=ticket.attempt, **number),
        structlog.contextvars.bound_contextvars(**number, attempt=ticket.attempt, name=claimed.name),
    ):
        _settle(work, partial(_fail, context, job, claimed), partial(_release, context, job, claimed))


def _screen(context: Context, claimed: screenings.Claim, heartbeat: Heartbeat) -> None:
    with _content(context, claimed, heartbeat) as path:
        pipeline = context.pipeline_of(claimed.model_version_id)
        shadow = context.shadow_of(claimed.object_key, claimed.model_version_id)
        screened = pipeline.screen(path, name=claimed.name, heartbeat=heartbeat, shadow=shadow)
        found = time.monotonic()
        result = to_result(screened, context.objects)
        heartbeat()

        matches = patiently(partial(_recognise, context, claimed, result), heartbeat=heartbeat)

        def store() -> list[int]:
            with transaction(context.engine) as session:
                return complete(session, claimed, result, matches)

        flagged = patiently(store, heartbeat=heartbeat)
        stored = time.monotonic()
        if shadow is not None:
            _keep_shadow(context, claimed, screened)
    metrics.SCREENED.labels(outcome=result.verdict).inc()
    for stage, seconds in result.timings.items():
        metrics.STAGE_SECONDS.labels(stage=stage).observe(seconds)
    metrics.STAGE_SECONDS.labels(stage="store").observe(stored - found)
    metrics.FACES.inc(len(result.faces))
    traces.note(
        verdict=result.verdict, **{f"{stage}_seconds": took for stage, took in result.timings.items()}
    )
    log.info("screened", verdict=result.verdict, score=result.score, seconds=result.timings["total"])
    for frame in flagged:
        ticket = Ticket(row_id=frame, attempt=1, priority=claimed.ticket.priority)
        if not _enqueue(context, EXPLAIN, ticket):
            return


def _keep_shadow(context: Context, claimed: screenings.Claim, screened: Screened) -> None:
    """Once the verdict is stored, and in a transaction of its own: it must not cost the video anything."""
    answer, outcome = screened.shadow, "failed"
    try:
        if answer is not None:
            with transaction(context.engine) as session:
                shadows.keep(session, claimed.ticket.row_id, answer)
            outcome = "same" if answer.verdict == screened.verdict else "other"
    except JobTimeoutException:
        raise
    except Exception:
        log.exception("the shadow's answer is lost")
    metrics.SHADOWED.labels(outcome=outcome).inc()


def _recognise(context: Context, claimed: screenings.Claim, result: ScreeningResult) -> list[Match]:
    """What the video looks like.

    Its own hashes are committed first: of two like videos at once, at least one sees the other.
    """
    if not context.settings.known.enabled:
        return []
    with single(context.engine) as session:
        own = hashes.keep_first(session, claimed.video_id, result.hashes)
    if not own:
        with transaction(context.engine) as session:
            own = hashes.keep(session, claimed.video_id, result.hashes)
    with single(context.engine, reads=True) as session:
        return matching.find(
            session, context.hash_index, claimed.video_id, result.hashes, context.settings.known, own=own
        )


@contextmanager
def _content(context: Context, claimed: screenings.Claim, heartbeat: Heartbeat) -> Iterator[Path]:
    if not claimed.object_key:  # its days were over before a worker came to it
        raise FileVanished(name=claimed.name)
    try:
        with context.objects.local_path(claimed.object_key, heartbeat=heartbeat) as path:
            yield path
    except (FileVanished, ObjectDamaged) as error:
        # People know the file by this name, not by its key.
        raise type(error)(name=claimed.name) from None


def _explain(context: Context, claimed: explanations.Claim, heartbeat: Heartbeat) -> None:
    # The screen worker need not load the explainers.
    from worker.explaining import explain_frame  # noqa: PLC0415

    def store(result: ExplanationResult) -> None:
        with transaction(context.engine) as session:
            explanations.store(session, claimed, result)

    def finish() -> None:
        with transaction(context.engine) as session:
            explanations.finish(session, claimed)

    began = time.monotonic()
    for result in explain_frame(context, claimed, heartbeat=heartbeat):
        patiently(partial(store, result), heartbeat=heartbeat)
    patiently(finish, heartbeat=heartbeat)
    metrics.EXPLAINED.labels(outcome="done").inc()
    metrics.STAGE_SECONDS.labels(stage="explain").observe(time.monotonic() - began)
    log.info("explained")


SCREEN = Job(
    leases=screenings.LEASES,
    work=_screen,
    enqueue=queues.enqueue_screen,
    ended=metrics.SCREENED,
    claiming=single,
)
EXPLAIN = Job(
    leases=explanations.LEASES,
    work=_explain,
    enqueue=queues.enqueue_explain,
    ended=metrics.EXPLAINED,
    claiming=transaction,
)


def _fail(context: Context, job: Job[Claimed], claimed: Claimed, error: FacewardenError) -> None:
    with transaction(context.engine) as session:
        job.leases.fail(session, claimed, error)
    traces.note(error=error.code)
    job.ended.labels(outcome=error.code).inc()


def _release(context: Context, job: Job[Claimed], claimed: Claimed, end: End) -> None:
    attempts = context.settings.worker.max_attempts
    with transaction(context.engine) as session:
        ticket = job.leases.release(
            session, claimed, reason=end.reason, max_attempts=attempts, counts=end.counts
        )
    traces.note(given_back=end.reason)
    if ticket is not None and end.at_once:
        _enqueue(context, job, ticket)


def _enqueue(context: Context, job: Job[Any], ticket: Ticket) -> bool:
    """False if Redis does not answer: the reconciler makes up for it."""
    seconds = context.settings.worker.job_seconds
    try:
        job.enqueue(
            context.redis, ticket.row_id, ticket.attempt, job_seconds=seconds, priority=ticket.priority
        )
    except RetryableError as error:
        log.warning("not enqueued; the reconciler will", reason=str(error))
        return False
    return True


def _settle(
    work: Callable[[], None], fail: Callable[[FacewardenError], None], release: Callable[[End], None]
) -> None:
    """Do the work; a permanent fault is stored, any other gives the attempt back. The worker goes on."""
    try:
        work()
    except StaleAttempt as error:
        log.warning("result dropped", reason=str(error))
    except JobTimeoutException:
        # RQ's own alarm, raised wherever Python happened to be: it must reach RQ, but the row must not wait.
        _unless_stale(release, End(reason="the job passed its deadline"))
        raise
    except SystemExit:
        _unless_stale(release, End(reason="its worker was told to stop at once", counts=False), wait=False)
        raise
    except DecoderShot as error:
        # By the system, out of memory, or by a person: another attempt shows whether the file is to blame.
        log.warning("attempt given back", reason=str(error))
        _unless_stale(release, End(reason=str(error)))
    except InputError as error:
        log.info("input refused", code=error.code, reason=str(error))
        _unless_stale(fail, error)
    except PermanentError as error:
        log.exception("the installation is at fault")
        _unless_stale(fail, error)
    except (ServiceUnavailable, ObjectStoreError, CheckpointMissing) as error:
        log.warning("attempt given back: the installation was at fault", reason=str(error))
        _unless_stale(release, End(reason=str(error), counts=False, at_once=False))
    except Exception as error:
        log.exception("attempt failed")
        _unless_stale(release, End(reason=f"{type(error).__name__}: {error}"))


def _unless_stale(write: Callable[[Outcome], None], outcome: Outcome, *, wait: bool = True) -> None:
    try:
        if wait:
            patiently(lambda: write(outcome))
        else:
            write(outcome)
    except StaleAttempt as error:
        log.warning("result dropped", reason=str(error))
    except RetryableError as error:
        # The database does not answer: the lease runs out, and the reconciler takes the row back.
        log.warning("outcome not stored; the reconciler will take the attempt back", reason=str(error))
