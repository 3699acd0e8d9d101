"""Screening a video again at a reviewer's request."""

from dataclasses import dataclass

import structlog
from sqlalchemy import Engine

from core import queues
from core.errors import NotFound, ServiceUnavailable
from core.model_version import read_model_version
from core.priorities import Priority
from core.settings import Settings
from ingest.registration import register_version
from storage import audit, model_versions, screenings
from storage.engine import transaction
from storage.leases import Ticket
from storage.read import detail

log = structlog.get_logger()


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
    """Request a new attempt, by default with the checkpoint of the settings.

    Raises NotFound if the video or the model version is unknown.
    """
    with transaction(engine) as session:
        video = detail.media(session, video_id)
        if model_version is None:
            version = read_model_version(settings.weights)
            register_version(session, version)
            model_version = version.id
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
    return Asked(ticket=ticket, model_version=model_version, enqueued=_enqueue(settings, ticket))


def _enqueue(settings: Settings, ticket: Ticket) -> bool:
    try:
        redis = queues.connect(settings.queue_url, answer_seconds=queues.ANSWER_SECONDS)
        queues.enqueue_screen(
            redis,
            ticket.row_id,
            ticket.attempt,
            job_seconds=settings.worker.job_seconds,
            priority=ticket.priority,
        )
    except ServiceUnavailable as error:
        log.warning("not enqueued; the reconciler will", reason=str(error))
        return False
    return True
