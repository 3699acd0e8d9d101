"""Deliveries: claimed by a lease, ended, given up, replayed.

Of the events of one video or stream only the first that waits may be claimed for an endpoint: they arrive in
order.
As in storage.leases, the number of the attempt is the fencing token.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, CursorResult, Update, delete, exists, or_, select, update
from sqlalchemy.orm import Session, aliased

from core.signals import DeliveryStatus
from storage import audit
from storage.clock import database_now
from storage.leases import FREE, changed_one
from storage.tables import WebhookDelivery, WebhookEndpoint, WebhookEvent
from storage.webhooks import endpoints

Clock = Callable[[Session], datetime]


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """A delivery that a process has claimed, with all that sending it needs."""

    delivery_id: int
    attempt: int  # the fencing token
    owner: str
    endpoint_id: int
    url: str
    secrets: tuple[str, ...]  # valid now, the newest first
    message_id: str
    body: str
    failures: int  # before this attempt


@dataclass(frozen=True, kw_only=True)
class DeliveryView:
    id: int
    message_id: str
    type: str
    video_id: int | None  # what it tells of: a video,
    stream_id: int | None  # or a live stream
    status: DeliveryStatus
    attempts: int
    http_status: int | None
    error: str | None
    created_at: datetime
    due_at: datetime | None  # of the next attempt; None where none will come
    ended_at: datetime | None


def _claimable(now: datetime) -> ColumnElement[bool]:
    """Due, held by nobody, and the first of its video or stream that waits for this endpoint."""
    earlier = aliased(WebhookDelivery)
    return (
        (WebhookDelivery.status == DeliveryStatus.WAITING)
        & (WebhookDelivery.due_at <= now)
        & or_(WebhookDelivery.lease_expires_at.is_(None), WebhookDelivery.lease_expires_at < now)
        & ~exists().where(
            earlier.endpoint_id == WebhookDelivery.endpoint_id,
            or_(
                earlier.video_id == WebhookDelivery.video_id,
                earlier.stream_id == WebhookDelivery.stream_id,
            ),
            earlier.status == DeliveryStatus.WAITING,
            earlier.id < WebhookDelivery.id,
        )
    )


def due(session: Session, now: datetime) -> list[int]:
    """The active endpoints for which something can be claimed."""
    waiting = exists().where(WebhookDelivery.endpoint_id == WebhookEndpoint.id, _claimable(now))
    return list(session.scalars(select(WebhookEndpoint.id).where(WebhookEndpoint.active, waiting)))


def claim(
    session: Session, endpoint_id: int, *, owner: str, most: int, lease_seconds: float, now: datetime
) -> list[Parcel]:
    """Claim up to `most` deliveries for an endpoint, the oldest first."""
    endpoint = session.get(WebhookEndpoint, endpoint_id)
    if endpoint is None or not endpoint.active:
        return []
    rows = session.execute(
        select(WebhookDelivery, WebhookEvent)
        .join(WebhookEvent, WebhookEvent.id == WebhookDelivery.event_id)
        .where(WebhookDelivery.endpoint_id == endpoint_id, _claimable(now))
        .order_by(WebhookDelivery.id)
        .limit(most)
        .with_for_update(of=WebhookDelivery, skip_locked=True)
    ).all()
    parcels = []
    for delivery, event in rows:
        delivery.attempts += 1
        delivery.lease_owner = owner
        delivery.lease_expires_at = now + timedelta(seconds=lease_seconds)
        parcels.append(
            Parcel(
                delivery_id=delivery.id,
                attempt=delivery.attempts,
                owner=owner,
                endpoint_id=endpoint_id,
                url=endpoint.url,
                secrets=_secrets(endpoint, now),
                message_id=event.message_id,
                body=event.body,
                failures=delivery.failures,
            )
        )
    return parcels


def _secrets(endpoint: WebhookEndpoint, now: datetime) -> tuple[str, ...]:
    until = endpoint.previous_until
    if endpoint.previous_secret is None or until is None or until <= now:
        return (endpoint.secret,)
    return endpoint.secret, endpoint.previous_secret


def delivered(session: Session, parcel: Parcel, *, http_status: int, now: datetime) -> bool:
    """The receiver has it. False if another process has claimed it meanwhile."""
    return changed_one(
        session,
        _held(parcel).values(
            status=DeliveryStatus.DELIVERED, http_status=http_status, error=None, ended_at=now, **FREE
        ),
    )


def failed(
    session: Session,
    parcel: Parcel,
    *,
    error: str,
    http_status: int | None,
    retry_seconds: float | None,
    now: datetime,
) -> bool:
    """The attempt failed: another comes after `retry_seconds`, or, where that is None, none."""
    values = {"http_status": http_status, "error": error, "failures": parcel.failures + 1, **FREE}
    if retry_seconds is None:
        values |= {"status": DeliveryStatus.DEAD, "ended_at": now}
    else:
        values |= {"due_at": now + timedelta(seconds=retry_seconds)}
    return changed_one(session, _held(parcel).values(**values))


def gone(session: Session, parcel: Parcel, *, error: str, http_status: int, now: datetime) -> None:
    """The receiver answered that it is gone: disable the endpoint; the event waits in case it comes back."""
    changed_one(session, _held(parcel).values(http_status=http_status, error=error, **FREE))
    endpoints.gone(session, parcel.endpoint_id, now=now)


def replay(session: Session, endpoint_id: int, *, actor: str, delivery_ids: list[int] | None = None) -> int:
    """Send dead letters (all, or those of `delivery_ids`) again, under their old ids; returns how many.

    Raises NotFound where there is no such endpoint.
    """
    url = endpoints.address_of(session, endpoint_id)
    statement = update(WebhookDelivery).where(
        WebhookDelivery.endpoint_id == endpoint_id, WebhookDelivery.status == DeliveryStatus.DEAD
    )
    if delivery_ids is not None:
        statement = statement.where(WebhookDelivery.id.in_(delivery_ids))
    result = session.execute(
        statement.values(
            status=DeliveryStatus.WAITING, failures=0, due_at=database_now(session), ended_at=None, **FREE
        ).execution_options(synchronize_session=False)
    )
    number = result.rowcount if isinstance(result, CursorResult) else 0
    if number:
        audit.record(
            session,
            actor=actor,
            action="webhook.replayed",
            subject=url.partition("?")[0],
            webhook=endpoint_id,
            events=number,
        )
    return number


def page(
    session: Session,
    endpoint_id: int,
    *,
    status: DeliveryStatus | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[DeliveryView]:
    """Deliveries of an endpoint, the newest first; `before` is the last id of the page before."""
    query = (
        select(WebhookDelivery, WebhookEvent)
        .join(WebhookEvent, WebhookEvent.id == WebhookDelivery.event_id)
        .where(WebhookDelivery.endpoint_id == endpoint_id)
        .order_by(WebhookDelivery.id.desc())
        .limit(limit)
    )
    if status is not None:
        query = query.where(WebhookDelivery.status == status)
    if before is not None:
        query = query.where(WebhookDelivery.id < before)
    return [
        DeliveryView(
            id=row.id,
            message_id=event.message_id,
            type=event.type,
            video_id=row.video_id,
            stream_id=row.stream_id,
            status=DeliveryStatus(row.status),
            attempts=row.attempts,
            http_status=row.http_status,
            error=row.error,
            created_at=event.created_at,
            due_at=row.due_at if row.status == DeliveryStatus.WAITING else None,
            ended_at=row.ended_at,
        )
        for row, event in session.execute(query)
    ]


def forget(session: Session, *, before: datetime) -> int:
    """Delete events of before then that are on no way any more; returns how many."""
    waiting = exists().where(
        WebhookDelivery.event_id == WebhookEvent.id, WebhookDelivery.status == DeliveryStatus.WAITING
    )
    result = session.execute(
        delete(WebhookEvent)
        .where(WebhookEvent.created_at < before, ~waiting)
        .execution_options(synchronize_session=False)
    )
    return result.rowcount if isinstance(result, CursorResult) else 0


def _held(parcel: Parcel) -> Update:
    return update(WebhookDelivery).where(
        WebhookDelivery.id == parcel.delivery_id,
        WebhookDelivery.attempts == parcel.attempt,
        WebhookDelivery.lease_owner == parcel.owner,
        WebhookDelivery.status == DeliveryStatus.WAITING,
    )
