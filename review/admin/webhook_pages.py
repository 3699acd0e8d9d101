"""/admin/webhooks: which systems are told of what, and what did not arrive."""

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import Engine

from core.errors import FacewardenError, PermanentError
from core.outgoing import LONGEST_URL
from core.signals import DeliveryStatus, Signal
from review.auth.access import Admin, ConfirmedAdmin, Principal
from review.problems import status_of
from review.rendering import page
from review.resources import Configured, Database, Id, Key
from storage.engine import reading, transaction
from storage.webhooks import deliveries, endpoints

router = APIRouter(prefix="/admin/webhooks", include_in_schema=False)

BACK = "/admin/webhooks"
PAGE = 100  # deliveries


@router.get("")
def webhooks_page(request: Request, engine: Database, settings: Configured, principal: Admin) -> Response:
    """All endpoints."""
    return _page(request, engine, principal, hours=settings.webhooks.rotate_hours)


def _page(
    request: Request,
    engine: Engine,
    principal: Principal,
    *,
    hours: float,
    error: FacewardenError | None = None,
    made: tuple[str, str] | None = None,
    url: str = "",
) -> Response:
    with reading(engine) as session:
        found = endpoints.listed(session)
    return page(
        request,
        "admin_webhooks.html",
        principal=principal,
        status_code=200 if error is None else status_of(error),
        webhooks=found,
        signals=list(Signal),
        hours=f"{hours:g}",
        error="" if error is None else str(error),
        made=made,  # address and secret, shown only once
        url=url,  # as typed, where it was refused
    )


@router.post("")
def add_webhook(
    request: Request,
    engine: Database,
    settings: Configured,
    principal: ConfirmedAdmin,
    url: Annotated[str, Form(max_length=LONGEST_URL)] = "",
    events: Annotated[list[Signal] | None, Form()] = None,
) -> Response:
    """Add an endpoint; only this answer shows its secret."""
    webhooks = settings.webhooks
    try:
        with transaction(engine) as session:
            view, secret = endpoints.add(
                session, url=url.strip(), events=events or [], guard=webhooks.guard, actor=principal.name
            )
    except PermanentError as error:
        return _page(request, engine, principal, hours=webhooks.rotate_hours, error=error, url=url)
    return _page(request, engine, principal, hours=webhooks.rotate_hours, made=(view.url, secret))


@router.post("/{webhook_id}/active")
def set_active(
    engine: Database,
    settings: Configured,
    principal: ConfirmedAdmin,
    webhook_id: Id,
    active: Annotated[bool, Form()],
) -> Response:
    """Enable or disable an endpoint."""
    with transaction(engine) as session:
        endpoints.change(
            session, webhook_id, guard=settings.webhooks.guard, actor=principal.name, active=active
        )
    return RedirectResponse(BACK, status_code=303)


@router.post("/{webhook_id}/secret")
def rotate_secret(
    request: Request, engine: Database, settings: Configured, principal: ConfirmedAdmin, webhook_id: Id
) -> Response:
    """Make a new secret; only this answer shows it."""
    hours = settings.webhooks.rotate_hours
    with transaction(engine) as session:
        view, secret = endpoints.rotate(session, webhook_id, hours=hours, actor=principal.name)
    return _page(request, engine, principal, hours=hours, made=(view.url, secret))


@router.post("/{webhook_id}/remove")
def remove_webhook(engine: Database, principal: ConfirmedAdmin, webhook_id: Id) -> Response:
    """Remove an endpoint with all that waits for it."""
    with transaction(engine) as session:
        endpoints.remove(session, webhook_id, actor=principal.name)
    return RedirectResponse(BACK, status_code=303)


@router.get("/{webhook_id}")
def deliveries_page(
    request: Request,
    engine: Database,
    principal: Admin,
    webhook_id: Id,
    status: DeliveryStatus | Literal[""] = "",
    before: Annotated[Key | None, Query()] = None,
) -> Response:
    """What was sent to one endpoint, waits or was given up."""
    with reading(engine) as session:
        webhook = endpoints.get(session, webhook_id)
        found = deliveries.page(session, webhook_id, status=status or None, before=before, limit=PAGE + 1)
    return page(
        request,
        "admin_webhook.html",
        principal=principal,
        webhook=webhook,
        deliveries=found[:PAGE],
        older=found[PAGE - 1].id if len(found) > PAGE else None,
        statuses=list(DeliveryStatus),
        status=status,
    )


@router.post("/{webhook_id}/replay")
def replay(
    engine: Database,
    principal: Admin,
    webhook_id: Id,
    delivery_ids: Annotated[list[Key] | None, Form(max_length=1000)] = None,
) -> Response:
    """Send dead letters again: those that are named, or all."""
    with transaction(engine) as session:
        deliveries.replay(session, webhook_id, actor=principal.name, delivery_ids=delivery_ids)
    return RedirectResponse(f"{BACK}/{webhook_id}", status_code=303)
