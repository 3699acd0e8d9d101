"""Entering the password again before changing accounts or tokens."""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from sqlalchemy import Engine

from core.errors import FacewardenError, SignInFailed, TooManySignIns
from core.settings import ReviewSettings
from review.auth import cookies
from review.auth.access import Principal, SignedIn
from review.auth.sign_in import LONGEST_FIELD, check, local, network_of
from review.problem_schema import problems
from review.problems import status_of
from review.rendering import page
from review.resources import Configured, Database
from storage import audit
from storage.engine import reading, transaction
from storage.people import accounts, sessions

router = APIRouter()

WRONG = "This is not the password of {name}. Try again."


class Confirmation(BaseModel):
    model_config = ConfigDict(extra="forbid")

    password: SecretStr = Field(max_length=LONGEST_FIELD)


@router.get("/confirm", include_in_schema=False)
def confirm_page(
    request: Request,
    settings: Configured,
    engine: Database,
    principal: SignedIn,
    wanted: Annotated[str, Query(alias="next", max_length=LONGEST_FIELD)] = "",
) -> Response:
    """The form."""
    return _form(request, settings.review, engine, principal, wanted=wanted)


def _form(
    request: Request,
    settings: ReviewSettings,
    engine: Engine,
    principal: Principal,
    *,
    wanted: str,
    error: FacewardenError | None = None,
) -> Response:
    with reading(engine) as session:
        issuer = accounts.get(session, principal.account_id).issuer
    response = page(
        request,
        "confirm.html",
        principal=principal,
        status_code=200 if error is None else status_of(error),
        next=wanted,
        minutes=f"{settings.confirm_minutes:g}",
        error=_said(error, principal),
        issuer=issuer,
    )
    if isinstance(error, TooManySignIns):
        response.headers["Retry-After"] = str(error.fields["seconds"])
    return response


def _said(error: FacewardenError | None, principal: Principal) -> str:
    """The error for somebody who is signed in: only the password can be wrong."""
    if isinstance(error, SignInFailed):
        return WRONG.format(name=principal.name)
    return "" if error is None else str(error)


@router.post("/confirm", include_in_schema=False)
def confirm(
    request: Request,
    settings: Configured,
    engine: Database,
    principal: SignedIn,
    password: Annotated[str, Form(max_length=LONGEST_FIELD)],
    wanted: Annotated[str, Form(alias="next", max_length=LONGEST_FIELD)] = "",
) -> Response:
    """Redirect back to where it was needed, with a new cookie."""
    try:
        token = _confirm(request, engine, settings.review, principal, password)
    except (SignInFailed, TooManySignIns) as error:
        return _form(request, settings.review, engine, principal, wanted=wanted, error=error)
    response = RedirectResponse(local(wanted), status_code=303)
    cookies.set_session(request, response, settings.review, token)
    return response


@router.post("/v1/confirmation", tags=["accounts"], status_code=204, responses=problems(429))
def confirm_as_json(
    request: Request, settings: Configured, engine: Database, principal: SignedIn, body: Confirmation
) -> Response:
    """Enter the session's password again; the answer sets a new session cookie. Not for API tokens."""
    token = _confirm(request, engine, settings.review, principal, body.password.get_secret_value())
    response = Response(status_code=204)
    cookies.set_session(request, response, settings.review, token)
    return response


def _confirm(
    request: Request, engine: Engine, settings: ReviewSettings, principal: Principal, password: str
) -> str:
    """Confirm the session; returns its new cookie token. Wrong guesses count as failed sign-ins."""
    address = network_of(request)
    check(engine, settings, name=principal.name, password=password, address=address)
    with transaction(engine) as session:
        audit.record(
            session, actor=principal.name, action="account.confirmed", subject=principal.name, address=address
        )
        return sessions.confirm(session, principal.session_id or "")
