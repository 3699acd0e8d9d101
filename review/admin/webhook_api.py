"""/v1/webhooks: endpoints, their secrets, their deliveries, as JSON."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from core.outgoing import LONGEST_URL
from core.signals import DeliveryStatus, Signal
from review.auth.access import Admin, ConfirmedAdmin
from review.problem_schema import problems
from review.resources import Configured, Database, Id, Key
from storage.engine import reading, transaction
from storage.webhooks import deliveries, endpoints

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], responses=problems(404, 409))


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class WebhookOut(BaseModel):
    id: int
    url: str
    events: list[Signal]
    active: bool
    gone_at: datetime | None = Field(description="When its receiver answered 410, which disabled it.")
    previous_until: datetime | None = Field(description="Until when the old secret signs as well.")
    created_at: datetime
    deliveries: dict[DeliveryStatus, int] = Field(description="How many of each status are kept.")


class WebhookMade(WebhookOut):
    secret: str = Field(description="For checking signatures. Shown only once.")


class NewWebhook(_Body):
    url: str = Field(max_length=LONGEST_URL)
    events: list[Signal] = Field(max_length=100)


class WebhookChange(_Body):
    url: str | None = Field(None, max_length=LONGEST_URL)
    events: list[Signal] | None = Field(None, max_length=100)
    active: bool | None = None


class DeliveryOut(BaseModel):
    id: int
    message_id: str = Field(description="The header `webhook-id`: the same each time it is sent.")
    type: Signal
    video_id: int | None = Field(description="What it tells of; null for a live stream.")
    stream_id: int | None = Field(description="What it tells of; null for a video.")
    status: DeliveryStatus
    attempts: int
    http_status: int | None = Field(description="Of the last attempt's answer.")
    error: str | None = Field(description="Why the last attempt failed.")
    created_at: datetime
    due_at: datetime | None = Field(description="When it is tried next; null where it is not.")
    ended_at: datetime | None


class Deliveries(BaseModel):
    deliveries: list[DeliveryOut]
    next_before: int | None = Field(description="The `before` of the next page; null on the last.")


class Replay(_Body):
    delivery_ids: list[Key] | None = Field(
        None, max_length=1000, description="Which dead letters; left out: all of this endpoint."
    )


class Replayed(BaseModel):
    events: int = Field(description="Number of dead letters that will be sent again.")


@router.get("")
def list_webhooks(engine: Database, _: Admin) -> list[WebhookOut]:
    """All endpoints, the oldest first."""
    with reading(engine) as session:
        return [WebhookOut(**asdict(each)) for each in endpoints.listed(session)]


@router.post("", status_code=201)
def add_webhook(
    engine: Database, settings: Configured, principal: ConfirmedAdmin, body: NewWebhook
) -> WebhookMade:
    """Add an endpoint; only this answer shows its secret."""
    with transaction(engine) as session:
        view, secret = endpoints.add(
            session,
            url=body.url,
            events=body.events,
            guard=settings.webhooks.guard,
            actor=principal.name,
        )
    return WebhookMade(**asdict(view), secret=secret)


@router.patch("/{webhook_id}")
def change_webhook(
    engine: Database, settings: Configured, principal: ConfirmedAdmin, webhook_id: Id, body: WebhookChange
) -> WebhookOut:
    """Change its address or events, enable or disable it."""
    with transaction(engine) as session:
        view = endpoints.change(
            session,
            webhook_id,
            guard=settings.webhooks.guard,
            actor=principal.name,
            **body.model_dump(exclude_none=True),
        )
    return WebhookOut(**asdict(view))


@router.delete("/{webhook_id}", status_code=204)
def remove_webhook(engine: Database, principal: ConfirmedAdmin, webhook_id: Id) -> Response:
    """Remove an endpoint with all that waits for it."""
    with transaction(engine) as session:
        endpoints.remove(session, webhook_id, actor=principal.name)
    return Response(status_code=204)


@router.post("/{webhook_id}/secret")
def rotate_secret(
    engine: Database, settings: Configured, principal: ConfirmedAdmin, webhook_id: Id
) -> WebhookMade:
    """Make a new secret; the old one signs as well for FACEWARDEN_WEBHOOKS__ROTATE_HOURS."""
    with transaction(engine) as session:
        view, secret = endpoints.rotate(
            session, webhook_id, hours=settings.webhooks.rotate_hours, actor=principal.name
        )
    return WebhookMade(**asdict(view), secret=secret)


@router.get("/{webhook_id}/deliveries")
def list_deliveries(
    engine: Database,
    _: Admin,
    webhook_id: Id,
    status: DeliveryStatus | None = None,
    before: Annotated[Key | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Deliveries:
    """What was sent, waits or was given up, the newest first."""
    with reading(engine) as session:
        endpoints.address_of(session, webhook_id)
        found = deliveries.page(session, webhook_id, status=status, before=before, limit=limit + 1)
    return Deliveries(
        deliveries=[DeliveryOut(**asdict(each)) for each in found[:limit]],
        next_before=found[limit - 1].id if len(found) > limit else None,
    )


@router.post("/{webhook_id}/replay")
def replay(engine: Database, principal: Admin, webhook_id: Id, body: Replay) -> Replayed:
    """Send dead letters again, under their old `webhook-id`."""
    with transaction(engine) as session:
        number = deliveries.replay(session, webhook_id, actor=principal.name, delivery_ids=body.delivery_ids)
    return Replayed(events=number)
