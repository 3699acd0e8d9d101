"""/admin/accounts: who may sign in, and as what."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import Engine

from core.errors import FacewardenError, PermanentError
from core.roles import Role
from review.admin.one_time_passwords import add, reset
from review.auth.access import AccountKeeper, Admin, Principal
from review.problems import status_of
from review.rendering import page
from review.resources import Database, Id
from storage.engine import reading, transaction
from storage.people import accounts

router = APIRouter(prefix="/admin/accounts", include_in_schema=False)

BACK = "/admin/accounts"


@router.get("")
def accounts_page(request: Request, engine: Database, principal: Admin) -> Response:
    """All accounts."""
    return _page(request, engine, principal)


def _page(
    request: Request,
    engine: Engine,
    principal: Principal,
    *,
    error: FacewardenError | None = None,
    one_time: tuple[str, str] | None = None,
) -> Response:
    with reading(engine) as session:
        found = accounts.listed(session)
    return page(
        request,
        "admin_accounts.html",
        principal=principal,
        status_code=200 if error is None else status_of(error),
        accounts=found,
        roles=list(Role),
        error="" if error is None else str(error),
        one_time=one_time,  # name and password, shown only once
    )


@router.post("")
def add_account(
    request: Request,
    engine: Database,
    principal: AccountKeeper,
    role: Annotated[Role, Form()],
    name: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Add an account; only this answer shows its one-time password."""
    try:
        password, added = add(engine, name=name, role=role, actor=principal.name)
    except PermanentError as error:
        return _page(request, engine, principal, error=error)
    return _page(request, engine, principal, one_time=(added.name, password) if password else None)


@router.post("/{account_id}/password")
def reset_password(request: Request, engine: Database, principal: AccountKeeper, account_id: Id) -> Response:
    """Set a new one-time password, shown once; the account is signed out everywhere."""
    try:
        name, password = reset(engine, account_id, actor=principal.name)
    except PermanentError as error:
        return _page(request, engine, principal, error=error)
    return _page(request, engine, principal, one_time=(name, password))


@router.post("/{account_id}/role")
def set_role(
    request: Request,
    engine: Database,
    principal: AccountKeeper,
    account_id: Id,
    role: Annotated[Role, Form()],
) -> Response:
    """Set another role, effective from the next request."""
    try:
        with transaction(engine) as session:
            accounts.set_role(session, account_id, role, actor=principal.name)
    except PermanentError as error:
        return _page(request, engine, principal, error=error)
    return RedirectResponse(BACK, status_code=303)


@router.post("/{account_id}/active")
def set_active(
    request: Request,
    engine: Database,
    principal: AccountKeeper,
    account_id: Id,
    active: Annotated[bool, Form()],
) -> Response:
    """Enable or disable an account."""
    try:
        with transaction(engine) as session:
            accounts.set_active(session, account_id, active, actor=principal.name)
    except PermanentError as error:
        return _page(request, engine, principal, error=error)
    return RedirectResponse(BACK, status_code=303)
