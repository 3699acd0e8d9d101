"""Signing in and out."""

import hmac
import secrets
from typing import Annotated

import structlog
from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from core import passwords
from core.errors import FacewardenError, ForgedRequest, SignInFailed, TooManySignIns, printable
from core.settings import ReviewSettings, Settings
from review.auth import cookies
from review.auth.access import MaybeSomebody, Newcomer, refuse_other_sites
from review.problems import status_of
from review.rendering import page
from review.resources import Configured, Database
from storage import audit
from storage.engine import reading, transaction
from storage.people import accounts, failures, sessions, sign_ins
from storage.people.failures import Reason
from storage.people.sign_ins import Limits

router = APIRouter(include_in_schema=False)
log = structlog.get_logger()

HOME = "/queue"
LONGEST_FIELD = 1000  # characters

Field = Annotated[str, Form(max_length=LONGEST_FIELD)]


@router.get("/sign-in")
def sign_in_page(
    request: Request,
    settings: Configured,
    principal: MaybeSomebody,
    wanted: Annotated[str, Query(alias="next", max_length=LONGEST_FIELD)] = "",
) -> Response:
    """The form, or a redirect if already signed in."""
    if principal is not None:
        return RedirectResponse(local(wanted), status_code=303)
    return sign_in_form(request, settings, wanted=wanted)


@router.post("/sign-in")
def sign_in(
    request: Request,
    settings: Configured,
    engine: Database,
    name: Field = "",
    password: Field = "",
    csrf_token: Field = "",
    wanted: Annotated[str, Form(alias="next", max_length=LONGEST_FIELD)] = "",
) -> Response:
    """Start a session and set its cookie; ends any session that the browser had."""
    review = settings.review
    try:
        _refuse_forgery(request, review, csrf_token)
        address = network_of(request)
        account_id = check(engine, review, name=name, password=password, address=address)
    except (SignInFailed, TooManySignIns, ForgedRequest) as error:
        return sign_in_form(request, settings, wanted=wanted, name=name, error=error)
    with transaction(engine) as session:
        sessions.sweep(session)
        end_session(request, review, session)
        token = sessions.start(session, account_id, hours=review.session_hours)
        account = accounts.get(session, account_id)
        audit.record(
            session, actor=account.name, action="account.signed_in", subject=account.name, address=address
        )
    response = RedirectResponse("/account" if account.must_change else local(wanted), status_code=303)
    cookies.set_session(request, response, review, token)
    return response


def check(engine: Engine, settings: ReviewSettings, *, name: str, password: str, address: str) -> int:
    """The id of the account with this name and password.

    Raises SignInFailed, which does not say what was wrong, after the same amount of work in every case, or
    TooManySignIns before doing any.
    """
    name = printable(name.strip().lower())
    failures.tell(engine)
    try:
        with transaction(engine) as session:
            attempt = sign_ins.begin(session, name=name, address=address, limits=limits(settings))
    except TooManySignIns:
        with transaction(engine) as session:
            failures.count(session, name=name, address=address, reason=Reason.TOO_MANY)
        raise
    with reading(engine) as session:
        found = accounts.password_hash(session, name)
    account_id, stored = found or (None, None)
    if not passwords.check_password(password, stored) or account_id is None or stored is None:
        # An unknown name may be a password typed into the wrong field, so it is not logged.
        log.warning("sign-in failed", account=name if account_id else failures.UNKNOWN, address=address)
        with transaction(engine) as session:
            failures.count(session, name=name, address=address)
        raise SignInFailed
    renewed = passwords.hash_password(password) if passwords.outdated(stored) else None
    with transaction(engine) as session:
        sign_ins.succeed(session, attempt)
        if renewed is not None:
            accounts.renew_hash(session, account_id, renewed)
    return account_id


def limits(settings: ReviewSettings) -> Limits:
    """How many failures may precede an attempt."""
    return Limits(
        window_minutes=settings.sign_in_window_minutes,
        failures_per_name=settings.sign_in_failures_per_name,
        failures_per_address=settings.sign_in_failures_per_address,
    )


@router.post("/sign-out")
def sign_out(request: Request, settings: Configured, engine: Database, principal: Newcomer) -> Response:
    """End this session, here and in the database."""
    with transaction(engine) as session:
        end_session(request, settings.review, session)
        audit.record(session, actor=principal.name, action="account.signed_out", subject=principal.name)
    response = RedirectResponse("/sign-in", status_code=303)
    cookies.clear_session(request, response, settings.review)
    return response


def sign_in_form(
    request: Request,
    settings: Settings,
    *,
    wanted: str,
    name: str = "",
    error: FacewardenError | None = None,
) -> Response:
    """The page with the form."""
    review = settings.review
    # One token for all tabs of this browser: opening a second tab must not invalidate the first.
    token = cookies.login_csrf_token(request, review) or secrets.token_urlsafe()
    status = 200 if error is None else status_of(error)
    response = page(
        request,
        "sign_in.html",
        status_code=status,
        csrf_token=token,
        next=wanted,
        name=name,
        error="" if error is None else str(error),
        elsewhere=settings.oidc.label if settings.oidc.issuer else "",
    )
    cookies.set_login_csrf(request, response, review, token)
    if isinstance(error, TooManySignIns):
        response.headers["Retry-After"] = str(error.fields["seconds"])
    return response


def _refuse_forgery(request: Request, settings: ReviewSettings, given: str) -> None:
    """Raises ForgedRequest if another site's form would sign somebody in (login CSRF)."""
    refuse_other_sites(request)
    expected = cookies.login_csrf_token(request, settings)
    if not expected or not hmac.compare_digest(given.encode(), expected.encode()):
        raise ForgedRequest(reason="it does not have the CSRF token of this browser")


def end_session(request: Request, settings: ReviewSettings, session: Session) -> None:
    """End the session that the browser has, if it has one."""
    token = cookies.session_token(request, settings)
    if token is not None:
        sessions.end(session, token)


def network_of(request: Request) -> str:
    """What counts as the address that a request comes from."""
    return sign_ins.network(request.client.host if request.client else None)


def local(wanted: str) -> str:
    """`wanted` if it is a path of this service, otherwise the queue: no link may lead elsewhere."""
    # Browsers treat a backslash as a slash, and drop tabs and newlines.
    plain = wanted.isprintable() and "\\" not in wanted
    return wanted if plain and wanted.startswith("/") and not wanted.startswith("//") else HOME
