"""Endpoints: whom to tell of what, and the secrets that sign it. Every change is in the audit log."""

import base64
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.errors import Conflict, InvalidValue, NotFound, UnsafeAddress
from core.outgoing import Guard
from core.signals import DeliveryStatus, Signal
from storage import audit
from storage.tables import WebhookDelivery, WebhookEndpoint, utc_now

PREFIX = "whsec_"  # of the Standard Webhooks scheme
SECRET_BYTES = 32
MOST = 50  # endpoints: each may have connections of its own


@dataclass(frozen=True, kw_only=True)
class EndpointView:
    id: int
    url: str
    events: list[Signal]
    active: bool
    gone_at: datetime | None  # when its receiver answered 410, which disabled it
    previous_until: datetime | None  # until when the old secret signs as well
    created_at: datetime
    deliveries: dict[DeliveryStatus, int]  # how many of each status are kept


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def listed(session: Session) -> list[EndpointView]:
    """All endpoints, the oldest first."""
    rows = session.scalars(select(WebhookEndpoint).order_by(WebhookEndpoint.id)).all()
    return [_view(session, row) for row in rows]


def get(session: Session, endpoint_id: int) -> EndpointView:
    """Raises NotFound."""
    return _view(session, _row(session, endpoint_id))


def address_of(session: Session, endpoint_id: int) -> str:
    """Its URL; counts nothing, unlike `get`. Raises NotFound."""
    return _row(session, endpoint_id).url


def add(
    session: Session, *, url: str, events: Collection[Signal], guard: Guard, actor: str
) -> tuple[EndpointView, str]:
    """Add an endpoint; returns it and its secret, which is not shown again. Raises InvalidValue, Conflict."""
    row = WebhookEndpoint(url=_checked(url, guard), events=_events(events), secret=new_secret())
    if (session.scalar(select(func.count()).select_from(WebhookEndpoint)) or 0) >= MOST:
        raise Conflict(
            what="webhook", key=url.partition("?")[0], reason=f"there are {MOST} endpoints already"
        )
    session.add(row)
    session.flush()
    _record(session, row, actor, "webhook.added", events=row.events)
    return _view(session, row), row.secret


def change(
    session: Session,
    endpoint_id: int,
    *,
    guard: Guard,
    actor: str,
    url: str | None = None,
    events: Collection[Signal] | None = None,
    active: bool | None = None,
) -> EndpointView:
    """Change what is given. What waited while it was disabled is sent once it is enabled.

    Raises NotFound, InvalidValue.
    """
    row = _row(session, endpoint_id)
    changed: dict[str, Any] = {}
    if url is not None and url != row.url:
        before, row.url = row.url, _checked(url, guard)
        changed["before"] = before.partition("?")[0]
    if events is not None and _events(events) != row.events:
        row.events = changed["events"] = _events(events)
    if active is not None and active != row.active:
        row.active = changed["active"] = active
        row.gone_at = None
    if changed:
        _record(session, row, actor, "webhook.changed", **changed)
    return _view(session, row)


def rotate(
    session: Session, endpoint_id: int, *, hours: float, actor: str, now: datetime | None = None
) -> tuple[EndpointView, str]:
    """Make a new secret; the old one signs as well for `hours`. Raises NotFound."""
    row = _row(session, endpoint_id)
    row.previous_secret, row.secret = row.secret, new_secret()
    row.previous_until = (now or utc_now()) + timedelta(hours=hours)
    _record(session, row, actor, "webhook.secret_rotated", old_until=row.previous_until.isoformat())
    return _view(session, row), row.secret


def remove(session: Session, endpoint_id: int, *, actor: str) -> None:
    """Remove an endpoint with all that waits for it. Raises NotFound."""
    row = _row(session, endpoint_id)
    _record(session, row, actor, "webhook.removed")
    session.delete(row)


def gone(session: Session, endpoint_id: int, *, now: datetime) -> None:
    """Disable an endpoint whose receiver says that it is gone for good."""
    row = session.get(WebhookEndpoint, endpoint_id, with_for_update=True)
    if row is None or not row.active:
        return
    row.active, row.gone_at = False, now
    _record(session, row, "facewarden", "webhook.gone")


def _row(session: Session, endpoint_id: int) -> WebhookEndpoint:
    row = session.get(WebhookEndpoint, endpoint_id)
    if row is None:
        raise NotFound(what="webhook", key=endpoint_id)
    return row


def _checked(url: str, guard: Guard) -> str:
    try:
        guard.target(url)
    except UnsafeAddress as error:
        raise InvalidValue(
            field="url", reason=f"{error.fields['reason']}. {error.fields['remedy']}".rstrip(".")
        ) from error
    return url


def _events(events: Collection[Signal]) -> list[str]:
    if not events:
        raise InvalidValue(field="events", reason="an endpoint needs one or more")
    return sorted({Signal(event).value for event in events})


def _record(session: Session, row: WebhookEndpoint, actor: str, action: str, **detail: Any) -> None:
    # Without the query, which may hold a secret of the receiver's.
    subject = row.url.partition("?")[0]
    audit.record(session, actor=actor, action=action, subject=subject, webhook=row.id, **detail)


def _view(session: Session, row: WebhookEndpoint) -> EndpointView:
    query = (
        select(WebhookDelivery.status, func.count())
        .where(WebhookDelivery.endpoint_id == row.id)
        .group_by(WebhookDelivery.status)
    )
    counted = {each[0]: each[1] for each in session.execute(query)}
    return EndpointView(
        id=row.id,
        url=row.url,
        events=[Signal(event) for event in row.events],
        active=row.active,
        gone_at=row.gone_at,
        previous_until=row.previous_until,
        created_at=row.created_at,
        deliveries={status: counted.get(status, 0) for status in DeliveryStatus},
    )
