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
from storage.tables import Screening, Sighting, Video, WebhookDelivery, WebhookEndpoint, WebhookEvent

ID_BYTES = 18  # of randomness in a message's id


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


def _endpoints(session: Session) -> Sequence[Any]:
    """The number of each that is active, and the events that it wants."""
    query = select(WebhookEndpoint.id, WebhookEndpoint.events).where(WebhookEndpoint.active)
    return session.execute(query.order_by(WebhookEndpoint.id)).all()


def _screening(session: Session, screening_id: int) -> Any:
    columns = Screening.__table__.columns
    session.flush()
    return session.execute(select(*columns).where(Screening.id == screening_id)).one()


def _tell(
    session: Session, endpoints: Sequence[Any], signal: Signal, video_id: int, told: dict[str, Any]
) -> None:
    wanting = [each.id for each in endpoints if signal in each.events]
    if not wanting:
        return
    now = database_now(session)  # by which deliveries are claimed
    data = {"video_id": video_id, **_names(session, video_id), **told}
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
            {"event_id": event.id, "endpoint_id": endpoint_id, "video_id": video_id, "due_at": now}
            for endpoint_id in wanting
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
