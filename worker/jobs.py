"""The two jobs. RQ calls them by name; what became of them stands in SQL, not in Redis.

Running a job twice changes nothing: the second run finds the attempt taken or over and goes home.

An attempt counts against its video where the video may be the reason: an unknown fault, a passed deadline, a
worker that fell silent. It does not where the installation is: a service or the disk was away, or the worker
was told to stop.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog
from rq.timeouts import JobTimeoutException

from core import metrics, queues
from core.errors import (
    DecoderShot,
    FacewardenError,
    FileVanished,
    InputError,
    ObjectStoreError,
    PermanentError,
    RetryableError,
    ServiceUnavailable,
    StaleAttempt,
)
from storage import explanations, screenings
from storage.engine import transaction
from storage.explanations import ExplainClaim, ExplainTicket, ExplanationResult
from storage.results import complete
from storage.screenings import Claim, Ticket
from worker.context import Context, current
from worker.lease import Lease
from worker.outcome import to_result
from worker.patience import patiently

log = structlog.get_logger()

Outcome = TypeVar("Outcome")


@dataclass(frozen=True, kw_only=True)
class End:
    """How an attempt ended that gave no result."""

    reason: str
    counts: bool = True  # against the attempts that a video has
    at_once: bool = True  # the next one; else the reconciler's next look enqueues it, once all may be well


def screen(screening_id: int, attempt: int) -> None:
    """Screen the video of one screening and store what was found."""
    context = current()
    settings = context.settings.worker
    ticket = Ticket(screening_id=screening_id, attempt=attempt)

    def claim() -> Claim | None:
        with transaction(context.engine) as session:
            return screenings.claim(
                session, ticket, owner=context.owner, lease_seconds=settings.lease_seconds
            )

    claimed = patiently(claim)
    if claimed is None:
        log.info("screening already taken or over", screening=screening_id, attempt=attempt)
        return
    with structlog.contextvars.bound_contextvars(screening=screening_id, attempt=attempt, video=claimed.name):
        _settle(
            lambda: _screen(context, claimed),
            lambda error: _fail(context, claimed, error),
            lambda end: _release(context, claimed, end),
        )


def _screen(context: Context, claimed: Claim) -> None:
    settings = context.settings.worker

    def renew() -> bool:
        with transaction(context.engine) as session:
            return screenings.renew(session, claimed, lease_seconds=settings.lease_seconds)

    with (
        Lease(
            renew,
            name=claimed.name,
            attempt=claimed.ticket.attempt,
            lease_seconds=settings.lease_seconds,
            job_seconds=settings.job_seconds,
        ) as lease,
        _content(context, claimed) as path,
    ):
        pipeline = context.pipeline_of(claimed.model_version_id)
        screened = pipeline.screen(path, name=claimed.name, alive=lease.check)
        result = to_result(screened, context.objects)
        lease.check()

        def store() -> list[int]:
            with transaction(context.engine) as session:
                return complete(session, claimed, result)

        flagged = patiently(store, alive=lease.check)
    metrics.SCREENED.labels(outcome=result.verdict).inc()
    for stage, seconds in result.timings.items():
        metrics.STAGE_SECONDS.labels(stage=stage).observe(seconds)
    log.info("screened", verdict=result.verdict, score=result.score, seconds=result.timings["total"])
    _enqueue_explanations(context, [ExplainTicket(flagged_frame_id=id_, attempt=1) for id_ in flagged])


@contextmanager
def _content(context: Context, claimed: Claim) -> Iterator[Path]:
    try:
        with context.objects.local_path(claimed.object_key) as path:
            yield path
    except FileVanished:
        raise FileVanished(name=claimed.name) from None  # people know the file by this name, not by its key


def _enqueue_explanations(context: Context, tickets: list[ExplainTicket]) -> None:
    for ticket in tickets:
        try:
            queues.enqueue_explain(
                context.redis,
                ticket.flagged_frame_id,
                ticket.attempt,
                job_seconds=context.settings.worker.job_seconds,
            )
        except RetryableError as error:
            log.warning("explanation not enqueued; the reconciler will", reason=str(error))
            return


def _fail(context: Context, claimed: Claim, error: FacewardenError) -> None:
    with transaction(context.engine) as session:
        screenings.fail(session, claimed, error)
    metrics.SCREENED.labels(outcome=error.code).inc()


def _release(context: Context, claimed: Claim, end: End) -> None:
    settings = context.settings.worker
    with transaction(context.engine) as session:
        ticket = screenings.release(
            session,
            claimed,
            reason=end.reason,
            max_attempts=settings.max_attempts,
            counts=end.counts,
        )
    if ticket is not None and end.at_once:
        try:
            queues.enqueue_screen(
                context.redis, ticket.screening_id, ticket.attempt, job_seconds=settings.job_seconds
            )
        except RetryableError as error:
            log.warning("next attempt not enqueued; the reconciler will", reason=str(error))


def explain(flagged_frame_id: int, attempt: int) -> None:
    """Explain one flagged frame: Grad-CAM at once, then LIME."""
    context = current()
    settings = context.settings.worker
    ticket = ExplainTicket(flagged_frame_id=flagged_frame_id, attempt=attempt)

    def claim() -> ExplainClaim | None:
        with transaction(context.engine) as session:
            return explanations.claim(
                session, ticket, owner=context.owner, lease_seconds=settings.lease_seconds
            )

    claimed = patiently(claim)
    if claimed is None:
        log.info("explanation already taken or over", flagged_frame=flagged_frame_id, attempt=attempt)
        return
    with structlog.contextvars.bound_contextvars(flagged_frame=flagged_frame_id, attempt=attempt):
        _settle(
            lambda: _explain(context, claimed),
            lambda error: _fail_explanation(context, claimed, error),
            lambda end: _release_explanation(context, claimed, end),
        )


def _explain(context: Context, claimed: ExplainClaim) -> None:
    # The screen worker need not load the explainers.
    from worker.explaining import explain_frame  # noqa: PLC0415

    settings = context.settings.worker

    def renew() -> bool:
        with transaction(context.engine) as session:
            return explanations.renew(session, claimed, lease_seconds=settings.lease_seconds)

    with Lease(
        renew,
        name=f"frame {claimed.ticket.flagged_frame_id}",
        attempt=claimed.ticket.attempt,
        lease_seconds=settings.lease_seconds,
        job_seconds=settings.job_seconds,
    ) as lease:

        def store(result: ExplanationResult) -> None:
            with transaction(context.engine) as session:
                explanations.store(session, claimed, result)

        def finish() -> None:
            with transaction(context.engine) as session:
                explanations.finish(session, claimed)

        for result in explain_frame(context, claimed, alive=lease.check):
            patiently(partial(store, result), alive=lease.check)
        patiently(finish, alive=lease.check)
    metrics.EXPLAINED.labels(outcome="done").inc()
    log.info("explained")


def _fail_explanation(context: Context, claimed: ExplainClaim, error: FacewardenError) -> None:
    with transaction(context.engine) as session:
        explanations.fail(session, claimed, str(error))
    metrics.EXPLAINED.labels(outcome=error.code).inc()


def _release_explanation(context: Context, claimed: ExplainClaim, end: End) -> None:
    attempts = context.settings.worker.max_attempts
    with transaction(context.engine) as session:
        ticket = explanations.release(
            session, claimed, reason=end.reason, max_attempts=attempts, counts=end.counts
        )
    if ticket is not None and end.at_once:
        _enqueue_explanations(context, [ticket])


def _settle(
    work: Callable[[], None], fail: Callable[[FacewardenError], None], release: Callable[[End], None]
) -> None:
    """Do the work; a permanent fault is stored, any other gives the attempt back. The worker lives on."""
    try:
        work()
    except StaleAttempt as error:
        log.warning("result dropped", reason=str(error))
    except JobTimeoutException:
        # RQ's own alarm, raised wherever Python stood: it must reach RQ, but the row must not wait.
        _unless_stale(release, End(reason="the job passed its deadline"))
        raise
    except SystemExit:
        _unless_stale(release, End(reason="its worker was told to stop at once", counts=False), wait=False)
        raise
    except DecoderShot as error:
        # By the system, for want of memory, or by a person: another attempt can tell the file from the rest.
        log.warning("attempt given back", reason=str(error))
        _unless_stale(release, End(reason=str(error)))
    except InputError as error:
        log.info("input refused", code=error.code, reason=str(error))
        _unless_stale(fail, error)
    except PermanentError as error:
        log.exception("the installation is at fault")
        _unless_stale(fail, error)
    except (ServiceUnavailable, ObjectStoreError) as error:
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
        # The database is away: the lease runs out, and the reconciler takes the row back.
        log.warning("outcome not stored; the reconciler will take the attempt back", reason=str(error))
