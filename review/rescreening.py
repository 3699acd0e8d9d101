"""Screening videos again: one at a reviewer's request, or many, as bulk work that waits for its turn."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from redis import Redis
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from core import queues
from core.errors import NotFound, ServiceUnavailable
from core.model_version import read_model_version
from core.priorities import Priority
from core.settings import Settings
from ingest.backlog import Backlog
from ingest.registration import register_version
from storage import audit, model_versions, screenings
from storage.engine import reading, transaction
from storage.leases import Ticket
from storage.queue.filters import Filters
from storage.read import detail, selection
from storage.screenings import Standing

log = structlog.get_logger()

CHECKPOINT = ".safetensors"  # how the name of a checkpoint's file ends
PAGE = 100  # videos in a transaction, and in an entry of the audit log


@dataclass(frozen=True, kw_only=True)
class Asked:
    ticket: Ticket
    model_version: str
    enqueued: bool  # False: Redis is down, and the reconciler will enqueue it


def ask(
    engine: Engine,
    settings: Settings,
    *,
    video_id: int,
    model_version: str | None = None,
    urgent: bool = False,
    actor: str,
) -> Asked:
    """Request a new attempt, by default by the version that screens new videos.

    Raises NotFound if the video or the model version is unknown.
    """
    with transaction(engine) as session:
        video = detail.media(session, video_id)
        if model_version is None:
            model_version = model_versions.active(session) or _registered(session, settings.weights)
        elif not model_versions.is_known(session, model_version):
            raise NotFound(what="Model version", key=model_version)
        ticket = screenings.request(
            session,
            video_id=video_id,
            model_version_id=model_version,
            priority=Priority.INTERACTIVE if urgent else Priority.NORMAL,
            again=True,
        )
        assert ticket is not None  # noqa: S101  `again` always gives one
        audit.record(
            session,
            actor=actor,
            action="video.screened_again",
            subject=video.sha256,
            model_version=model_version,
            urgent=urgent,
        )
    return Asked(ticket=ticket, model_version=model_version, enqueued=_enqueue_all(settings, [ticket]))


def version_of(engine: Engine, settings: Settings, named: str | None) -> str:
    """The id of the model version that a command names: by id, its beginning, its label, or a checkpoint's
    file, which is made known to the database; None is the one that screens new videos.

    Raises NotFound, Conflict where several are called so, and WeightsError.
    """
    with transaction(engine) as session:
        if named is not None and not named.endswith(CHECKPOINT):
            return model_versions.called(session, named)
        if named is not None:
            return _registered(session, Path(named))
        return model_versions.active(session) or _registered(session, settings.weights)


def _registered(session: Session, weights: Path) -> str:
    version = read_model_version(weights)
    register_version(session, version)
    return version.id


@dataclass(kw_only=True)
class Bulk:
    """How far asking for many screenings has come."""

    asked: int = 0  # or would have been, in a dry run
    standings: Counter[Standing] = field(default_factory=Counter)  # of all that the filters selected


def ask_all(
    engine: Engine,
    settings: Settings,
    filters: Filters,
    *,
    model_version: str,
    again: bool,
    dry_run: bool,
    actor: str,
    priority: Priority = Priority.BACKFILL,
    limit: int | None = None,
    progress: Callable[[Bulk, int | None], None] = lambda *_: None,
) -> Bulk:
    """Ask for what the filters select to be screened by a model version, page by page.

    What it has screened, or failed at, is asked for only with `again`. It pauses while the queue of the
    priority is deep, and tells `progress` how deep. Stopped and run once more without `again` it goes on.

    Raises NotFound if the model version is unknown.
    """
    wanted = {Standing.NEW, *((Standing.DONE, Standing.FAILED) if again else ())}
    bulk = Bulk()
    backlog = Backlog(settings, priority, lambda waiting: progress(bulk, waiting))
    for standings in _pages(engine, filters, model_version):
        bulk.standings.update(standings.values())
        chosen = [number for number, standing in standings.items() if standing in wanted]
        chosen = chosen[: None if limit is None else limit - bulk.asked]
        if not dry_run:
            for _ in chosen:
                backlog.wait()
            _ask_page(engine, settings, chosen, model_version, priority=priority, again=again, actor=actor)
        bulk.asked += len(chosen)
        progress(bulk, None)
        if bulk.asked == limit:
            break
    return bulk


def _pages(engine: Engine, filters: Filters, model_version: str) -> Iterator[dict[int, Standing]]:
    """What the model version has made of each video, page by page."""
    with reading(engine) as session:
        if not model_versions.is_known(session, model_version):
            raise NotFound(what="Model version", key=model_version)
        up_to = selection.newest(session)  # what is screened meanwhile is not met again
    after = 0
    while True:
        with reading(engine) as session:
            found = selection.page(session, filters, after=after, limit=PAGE, up_to=up_to)
            if not found:
                return
            standings = screenings.standings(session, [each.video_id for each in found], model_version)
        yield standings
        after = found[-1].id


def _ask_page(
    engine: Engine,
    settings: Settings,
    videos: Sequence[int],
    model_version: str,
    *,
    priority: Priority,
    again: bool,
    actor: str,
) -> None:
    if not videos:
        return
    with transaction(engine) as session:
        known = screenings.standings(session, videos, model_version)  # not what was erased meanwhile
        asked = [
            screenings.request(
                session, video_id=number, model_version_id=model_version, priority=priority, again=again
            )
            for number, standing in known.items()
            if standing not in {Standing.WAITING, Standing.ERASED}
        ]
        tickets = [each for each in asked if each is not None]
        if tickets:
            audit.record(
                session,
                actor=actor,
                action="videos.screened_again",
                subject=f"{len(tickets)} videos",
                model_version=model_version,
                screenings=[each.row_id for each in tickets],
            )
    _enqueue_all(settings, tickets)


def _enqueue_all(settings: Settings, tickets: Sequence[Ticket]) -> bool:
    """False where Redis does not answer: the reconciler makes up for it."""
    try:
        redis = queues.connect(settings.queue_url, answer_seconds=queues.ANSWER_SECONDS)
        for ticket in tickets:
            _enqueue_one(redis, settings, ticket)
    except ServiceUnavailable as error:
        log.warning("not enqueued; the reconciler will", reason=str(error))
        return False
    return True


def _enqueue_one(redis: Redis, settings: Settings, ticket: Ticket) -> None:
    queues.enqueue_screen(
        redis,
        ticket.row_id,
        ticket.attempt,
        job_seconds=settings.worker.job_seconds,
        priority=ticket.priority,
    )
