"""/admin/tokens: everybody's API tokens."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import Engine

from core.errors import FacewardenError, PermanentError
from core.roles import Scope
from review.auth.access import AccountKeeper, Admin, Principal
from review.problems import status_of
from review.rendering import page
from review.resources import Database, Id, Key
from storage.engine import reading, transaction
from storage.people import accounts, tokens

router = APIRouter(prefix="/admin/tokens", include_in_schema=False)


@router.get("")
def tokens_page(request: Request, engine: Database, principal: Admin) -> Response:
    """All tokens."""
    return _page(request, engine, principal)


def _page(
    request: Request,
    engine: Engine,
    principal: Principal,
    *,
    error: FacewardenError | None = None,
    new_token: str = "",
) -> Response:
    with reading(engine) as session:
        found = tokens.listed(session)
        owners = [account for account in accounts.listed(session) if account.active]
    return page(
        request,
        "admin_tokens.html",
        principal=principal,
        status_code=200 if error is None else status_of(error),
        tokens=found,
        accounts=owners,
        scopes=list(Scope),
        days=tokens.USUAL_DAYS,
        longest_days=tokens.LONGEST_DAYS,
        error="" if error is None else str(error),
        new_token=new_token,  # shown only once
    )


@router.post("")
def create_token(
    request: Request,
    engine: Database,
    principal: AccountKeeper,
    account_id: Annotated[Key, Form()],
    scopes: Annotated[list[Scope] | None, Form()] = None,
    name: Annotated[str, Form(max_length=200)] = "",
    days: Annotated[float, Form()] = tokens.USUAL_DAYS,
) -> Response:
    """Create a token for any account; only this answer ever shows it."""
    try:
        with transaction(engine) as session:
            _, token = tokens.create(
                session, account_id, name=name, scopes=scopes or [], days=days, actor=principal.name
            )
    except PermanentError as error:
        return _page(request, engine, principal, error=error)
    return _page(request, engine, principal, new_token=token)


@router.post("/{token_id}/revoke")
def revoke_token(engine: Database, principal: Admin, token_id: Id) -> Response:
    """Revoke anybody's token."""
    with transaction(engine) as session:
        tokens.revoke(session, token_id, actor=principal.name)
    return RedirectResponse("/admin/tokens", status_code=303)
