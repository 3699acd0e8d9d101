"""The user's own account: password, blind mode, API tokens."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import Engine

from core import passwords
from core.errors import AccessError, FacewardenError, InvalidValue, PermanentError, TooManySignIns
from core.roles import Scope
from review.auth import cookies
from review.auth.access import Confirmed, Newcomer, Principal, SignedIn, usable_scopes
from review.auth.sign_in import LONGEST_FIELD, check, network_of
from review.problems import status_of
from review.rendering import page
from review.resources import Configured, Database, Id
from storage.engine import reading, transaction
from storage.people import accounts, sessions, tokens

router = APIRouter(include_in_schema=False)

DONE = {"password": "Your password has been changed; other browsers have been signed out."}

Field = Annotated[str, Form(max_length=LONGEST_FIELD)]


@router.get("/account")
def account_page(request: Request, engine: Database, principal: Newcomer, done: str = "") -> Response:
    """The page of the user's own account."""
    return _page(request, engine, principal, done=DONE.get(done, ""))


def _page(
    request: Request,
    engine: Engine,
    principal: Principal,
    *,
    error: FacewardenError | None = None,
    done: str = "",
    new_token: str = "",
) -> Response:
    with reading(engine) as session:
        account = accounts.get(session, principal.account_id)
        own = tokens.listed(session, account_id=principal.account_id)
    return page(
        request,
        "account.html",
        principal=principal,
        status_code=200 if error is None else status_of(error),
        account=account,
        tokens=own,
        scopes=usable_scopes(principal.role),
        days=tokens.USUAL_DAYS,
        longest_days=tokens.LONGEST_DAYS,
        shortest_password=passwords.SHORTEST,
        error="" if error is None else str(error),
        done=done,
        new_token=new_token,  # shown only once
    )


@router.post("/account/password")
def change_password(
    request: Request,
    settings: Configured,
    engine: Database,
    principal: Newcomer,
    current: Field = "",
    new: Field = "",
    again: Field = "",
) -> Response:
    """Change the password, which needs the old one; ends all other sessions of the account."""
    try:
        _compare(new, again=again, current=current)
        # Limited like sign-ins, so that nobody can guess at an unattended browser.
        address = network_of(request)
        check(engine, settings.review, name=principal.name, password=current, address=address)
        # Last, because a crafted password can take long to check.
        passwords.accept_password(new, name=principal.name)
    except (InvalidValue, AccessError, TooManySignIns) as error:
        return _page(request, engine, principal, error=error)
    hashed = passwords.hash_password(new)
    with transaction(engine) as session:
        accounts.set_password(session, principal.account_id, hashed, actor=principal.name)
        token = sessions.start(session, principal.account_id, hours=settings.review.session_hours)
    response = RedirectResponse("/account?done=password", status_code=303)
    cookies.set_session(request, response, settings.review, token)
    return response


def _compare(new: str, *, again: str, current: str) -> None:
    if new != again:
        raise InvalidValue(field="password", reason="the two new passwords differ")
    if new == current:
        raise InvalidValue(field="password", reason="the new password is the same as the old one")


@router.post("/account/blind")
def set_blind(engine: Database, principal: SignedIn, blind: Annotated[bool, Form()] = False) -> Response:
    """Hide or show scores until this reviewer has decided."""
    with transaction(engine) as session:
        accounts.set_blind(session, principal.account_id, blind, actor=principal.name)
    return RedirectResponse("/account", status_code=303)


@router.post("/account/tokens")
def create_token(
    request: Request,
    engine: Database,
    principal: Confirmed,
    scopes: Annotated[list[Scope] | None, Form()] = None,
    name: Field = "",
    days: Annotated[float, Form()] = tokens.USUAL_DAYS,
) -> Response:
    """Create a token for the user; only this answer ever shows it."""
    try:
        with transaction(engine) as session:
            _, token = tokens.create(
                session,
                principal.account_id,
                name=name,
                scopes=scopes or [],
                days=days,
                actor=principal.name,
            )
    except PermanentError as error:
        return _page(request, engine, principal, error=error)
    return _page(request, engine, principal, new_token=token)


@router.post("/account/tokens/{token_id}/revoke")
def revoke_token(engine: Database, principal: SignedIn, token_id: Id) -> Response:
    """Revoke one of the user's own tokens."""
    with transaction(engine) as session:
        tokens.revoke(session, token_id, actor=principal.name, account_id=principal.account_id)
    return RedirectResponse("/account", status_code=303)
