"""The outbox: an event is written in the transaction of what it tells; neither exists without the other."""

import json
import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from core.outcomes import FLAGGED
from core.signals import Signal
from storage.clock import database_now
from storage.rows import table_of
from storage.tables import (
    Screening,
    Sighting,
    StreamAlert,
    Video,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)

ID_BYTES = 18  # of randomness in a message's id

_ENDPOINT = table_of(WebhookEndpoint).c
LISTENING = select(_ENDPOINT.id, _ENDPOINT.events).where(_ENDPOINT.active)  # who wants any events


def screened(session: Session, screening_id: int) -> None:
    """A screening has just been completed."""
    endpoints = _endpoints(session)
    if not endpoints:
        return
    row = _screening(session, screening_id)
    told = {
        "screening_id": screening_id,
        "verdict": row.verdict,
        "score": row.score,
        "coverage": row.coverage,
        "partial": row.partial,
        "model_version": row.model_version_id,
    }
    _tell(session, endpoints, Signal.SCREENED, row.video_id, told)
    if row.verdict in FLAGGED:
        _tell(session, endpoints, Signal.FLAGGED, row.video_id, told)


def failed(session: Session, screening_id: int) -> None:
    """A screening has just failed for good."""
    endpoints = _endpoints(session)
    if not endpoints:
        return
    row = _screening(session, screening_id)
    told = {
        "screening_id": screening_id,
        "error": {"code": row.error_code, "message": row.error_message},
        "model_version": row.model_version_id,
    }
    _tell(session, endpoints, Signal.FAILED, row.video_id, told)


def decided(
    session: Session, *, video_id: int, decision_id: int, account: str, outcome: str, state: str
) -> None:
    """A reviewer has just decided."""
    told = {"decision_id": decision_id, "account": account, "outcome": outcome, "decision_state": state}
    _tell(session, _endpoints(session), Signal.DECIDED, video_id, told)


def alerted(session: Session, alert: StreamAlert, name: str) -> None:
    """A face of the live stream called `name` has just been told of; the alert has its id."""
    wanting = _wanting(_endpoints(session), Signal.ALERT)
    if not wanting:
        return
    told = {
        "stream_id": alert.stream_id,
        "name": name,
        "alert_id": alert.id,
        "track": alert.track_number,
        "start_seconds": alert.start_seconds,
        "raised_seconds": alert.raised_seconds,
        "score": alert.peak_score,
        "model_version": alert.model_version_id,
    }
    _write(session, wanting, Signal.ALERT, told, stream_id=alert.stream_id)


def _endpoints(session: Session) -> Sequence[Any]:
    """The number of each that is active, and the events that it wants."""
    return session.execute(LISTENING.order_by(_ENDPOINT.id)).all()


def _screening(session: Session, screening_id: int) -> Any:
    columns = Screening.__table__.columns
    session.flush()
    return session.execute(select(*columns).where(Screening.id == screening_id)).one()


def _tell(
    session: Session, endpoints: Sequence[Any], signal: Signal, video_id: int, told: dict[str, Any]
) -> None:
    wanting = _wanting(endpoints, signal)
    if wanting:
        data = {"video_id": video_id, **_names(session, video_id), **told}
        _write(session, wanting, signal, data, video_id=video_id)


def _wanting(endpoints: Sequence[Any], signal: Signal) -> list[int]:
    return [each.id for each in endpoints if signal in each.events]


def _write(
    session: Session, endpoints: Sequence[int], signal: Signal, data: dict[str, Any], **subject: int
) -> None:
    """The event, and its delivery to each endpoint; those of one `subject` go out in order."""
    now = database_now(session)  # by which deliveries are claimed
    body = {"type": signal, "timestamp": now.isoformat(), "data": data}
    event = WebhookEvent(
        message_id=f"msg_{secrets.token_urlsafe(ID_BYTES)}",
        type=signal,
        body=json.dumps(body, separators=(",", ":")),
        created_at=now,
    )
    session.add(event)
    session.flush()
    session.execute(
        insert(WebhookDelivery),
        [
            {"event_id": event.id, "endpoint_id": endpoint_id, "due_at": now, **subject}
            for endpoint_id in endpoints
        ],
    )


def _names(session: Session, video_id: int) -> dict[str, str | None]:
    """The content's hash, and the name under which it was seen last."""
    row = session.execute(
        select(Video.sha256, Sighting.name)
        .outerjoin(Sighting, Sighting.video_id == Video.id)
        .where(Video.id == video_id)
        .order_by(Sighting.id.desc())
        .limit(1)
    ).one()
    return {"sha256": row.sha256, "name": row.name}
