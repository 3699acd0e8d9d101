"""/admin/audit: what happened, by whom, and whether the log's chain is intact."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy import Engine

from core.errors import printable
from review.auth.access import Admin, Principal
from review.rendering import page
from review.resources import Database, Key
from storage import audit
from storage.engine import reading

router = APIRouter(prefix="/admin/audit", include_in_schema=False)

PAGE = 100  # events


@router.get("")
def audit_page(
    request: Request,
    engine: Database,
    principal: Admin,
    before: Annotated[Key | None, Query()] = None,
    actor: Annotated[str, Query(max_length=200)] = "",
    action: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """The log, the newest first."""
    return _page(
        request,
        engine,
        principal,
        before=before,
        actor=printable(actor.strip()),
        action=printable(action.strip()),
    )


def _page(
    request: Request,
    engine: Engine,
    principal: Principal,
    *,
    before: int | None = None,
    actor: str = "",
    action: str = "",
    verification: audit.Verification | None = None,
) -> Response:
    with reading(engine) as session:
        events = audit.page(session, before=before, actor=actor, action=action, limit=PAGE + 1)
    return page(
        request,
        "admin_audit.html",
        principal=principal,
        events=events[:PAGE],
        older=events[PAGE - 1].id if len(events) > PAGE else None,
        actor=actor,
        action=action,
        verification=verification,
    )


@router.post("/verify")
def verify(request: Request, engine: Database, principal: Admin) -> Response:
    """Check the whole chain now."""
    with reading(engine) as session:
        verification = audit.verify(session)
    return _page(request, engine, principal, verification=verification)
