"""Signing in, and confirming a session, by an OpenID Connect provider.

The browser keeps what ties the provider's answer to it in a cookie of its own, since our other cookies do not
come with a request that another site has led to. So the answer, too, ends in a page that goes on by
itself: a redirect would come without the session.
"""

import base64
import hmac
import json
import time
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Annotated, Self

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.errors import NotFound, SignInRefused, TooManySignIns
from core.roles import Role
from core.settings import Settings
from review.auth import cookies
from review.auth.access import SignedIn
from review.auth.oidc_provider import LEEWAY_SECONDS, Person, Provider, Start
from review.auth.sign_in import LONGEST_FIELD, end_session, limits, local, network_of, sign_in_form
from review.problems import status_of
from review.rendering import page
from review.resources import Configured, Database
from storage import audit
from storage.engine import transaction
from storage.people import external_accounts, failures, sessions, sign_ins
from storage.people.accounts import AccountView
from storage.people.failures import Reason
from storage.tables import utc_now

router = APIRouter(include_in_schema=False)

RETURN = "/sign-in/oidc/return"
LONGEST_MINUTES = 10  # that somebody may take at the provider
RANKS = (Role.VIEWER, Role.REVIEWER, Role.ADMIN)  # the last one may do the most

Wanted = Annotated[str, Query(alias="next", max_length=LONGEST_FIELD)]
Told = Annotated[str, Query(max_length=4096)]


@dataclass(frozen=True, kw_only=True)
class Journey:
    """To the provider and back, kept in the browser's cookie meanwhile."""

    state: str
    nonce: str
    verifier: str
    wanted: str  # the page to go on to
    session_id: str  # that is to be confirmed; empty to sign in
    began: float  # seconds since 1970

    @property
    def start(self) -> Start:
        return Start(state=self.state, nonce=self.nonce, verifier=self.verifier)

    def packed(self) -> str:
        return base64.urlsafe_b64encode(json.dumps(asdict(self)).encode()).decode()

    @classmethod
    def unpacked(cls, packed: str | None, state: str) -> Self | None:
        """The journey of a cookie; None if there is none, it has another state, or it is too old."""
        try:
            found = cls(**json.loads(base64.urlsafe_b64decode(packed or "")))
            fits = hmac.compare_digest(found.state.encode(), state.encode())
            late = not -LEEWAY_SECONDS <= time.time() - found.began <= LONGEST_MINUTES * 60
            whole = all(isinstance(text, str) for name, text in asdict(found).items() if name != "began")
        except (ValueError, TypeError, AttributeError, RecursionError):
            return None
        return found if state and whole and fits and not late else None


@router.get("/sign-in/oidc")
def begin(request: Request, settings: Configured, engine: Database, wanted: Wanted = "") -> Response:
    """Send the browser to the provider."""
    return _leave(request, settings, engine, wanted=wanted)


@router.get("/confirm/oidc")
def begin_confirming(
    request: Request, settings: Configured, engine: Database, principal: SignedIn, wanted: Wanted = ""
) -> Response:
    """Send the browser to the provider, which is to ask for the password again."""
    return _leave(request, settings, engine, wanted=wanted, session_id=principal.session_id or "")


def _leave(
    request: Request, settings: Settings, engine: Engine, *, wanted: str, session_id: str = ""
) -> Response:
    provider = of(request)
    start = Start()
    try:
        address = provider.address(
            start, redirect_uri=_return_address(request, settings), again=bool(session_id)
        )
    except SignInRefused as error:
        return _refused(request, settings, engine, error, wanted=wanted, confirming=bool(session_id))
    journey = Journey(**asdict(start), wanted=wanted, session_id=session_id, began=time.time())
    response = RedirectResponse(address, status_code=303)
    cookies.set_journey(request, response, settings.review, journey.packed(), seconds=LONGEST_MINUTES * 60)
    return response


@router.get(RETURN)
def come_back(
    request: Request,
    settings: Configured,
    engine: Database,
    state: Told = "",
    code: Told = "",
    error: Told = "",
    iss: Told = "",
) -> Response:
    """Whom the provider names gets a session, or has theirs confirmed."""
    provider = of(request)
    journey = Journey.unpacked(cookies.journey(request, settings.review), state)
    confirming = journey is not None and bool(journey.session_id)
    wanted = journey.wanted if journey is not None else ""
    try:
        if journey is None:
            raise provider.refused(Reason.OIDC_STATE)
        if iss and iss != settings.oidc.issuer:  # RFC 9207: the answer of another provider
            raise provider.refused(Reason.OIDC_ISSUER)
        if error or not code:
            raise provider.refused(Reason.OIDC_DENIED)
        token = _admitted(request, settings, engine, provider, journey, code)
    except (SignInRefused, TooManySignIns) as refusal:
        response = _refused(request, settings, engine, refusal, wanted=wanted, confirming=confirming)
    else:
        response = page(request, "signed_in.html", wanted=local(wanted), error="")
        cookies.set_session(request, response, settings.review, token)
    cookies.clear_journey(request, response, settings.review)
    return response


def _admitted(
    request: Request, settings: Settings, engine: Engine, provider: Provider, journey: Journey, code: str
) -> str:
    """The token of the session. Raises SignInRefused, TooManySignIns."""
    address = network_of(request)
    with transaction(engine) as session:
        # Under a name that nobody can have, another for each journey: the address alone is held back.
        attempt = sign_ins.begin(
            session, name=f"oidc {journey.nonce}", address=address, limits=limits(settings.review)
        )
    try:
        person = provider.person(journey.start, code=code, redirect_uri=_return_address(request, settings))
    except SignInRefused as refusal:
        if refusal.fields["why"] == Reason.OIDC_UNREACHABLE:  # nobody's guess
            with transaction(engine) as session:
                sign_ins.withdraw(session, attempt)
        raise
    with transaction(engine) as session:
        if not external_accounts.spend(session, journey.nonce, minutes=2 * LONGEST_MINUTES):
            raise provider.refused(Reason.OIDC_REPLAYED)
    account = _account(engine, settings, provider, person)
    with transaction(engine) as session:
        sign_ins.succeed(session, attempt)
        if journey.session_id:
            minutes = settings.review.confirm_minutes
            return _confirmed(session, provider, journey, person, account, address, minutes)
        sessions.sweep(session)
        end_session(request, settings.review, session)
        audit.record(
            session,
            actor=account.name,
            action="account.signed_in",
            subject=account.name,
            address=address,
            issuer=person.issuer,
        )
        return sessions.start(session, account.id, hours=settings.review.session_hours)


def _account(engine: Engine, settings: Settings, provider: Provider, person: Person) -> AccountView:
    """Their account, made at the first sign-in, with the role that their groups give now."""
    given = {role for group, role in settings.oidc.roles.items() if group in person.groups}
    role = next((role for role in reversed(RANKS) if role in given), None)

    def admitted() -> AccountView | None:
        with transaction(engine) as session:
            return external_accounts.admit(
                session, issuer=person.issuer, subject=person.subject, name=person.name, role=role
            )

    try:
        account = admitted()
    except IntegrityError:  # of two first sign-ins at once, the other was the first
        account = admitted()
    if role is None:
        raise _told(provider.refused(Reason.OIDC_NO_GROUP), account)
    if account is None or not account.active:
        raise _told(provider.refused(Reason.DISABLED), account)
    return account


def _told(refusal: SignInRefused, account: AccountView | None) -> SignInRefused:
    refusal.fields["name"] = "" if account is None else account.name
    return refusal


def _confirmed(
    session: Session,
    provider: Provider,
    journey: Journey,
    person: Person,
    account: AccountView,
    address: str,
    minutes: float,
) -> str:
    if sessions.owner(session, journey.session_id) != account.id:
        raise _told(provider.refused(Reason.OIDC_OTHER), account)
    # By our clock, since the journey's beginning is only what the browser says.
    since = utc_now() - timedelta(minutes=minutes, seconds=LEEWAY_SECONDS)
    if person.authenticated_at is None or person.authenticated_at < since:
        raise _told(provider.refused(Reason.OIDC_STALE), account)
    audit.record(
        session,
        actor=account.name,
        action="account.confirmed",
        subject=account.name,
        address=address,
        issuer=person.issuer,
    )
    return sessions.confirm(session, journey.session_id)


def _refused(
    request: Request,
    settings: Settings,
    engine: Engine,
    error: SignInRefused | TooManySignIns,
    *,
    wanted: str,
    confirming: bool,
) -> Response:
    why = Reason.TOO_MANY if isinstance(error, TooManySignIns) else Reason(error.fields["why"])
    failures.tell(engine)
    with transaction(engine) as session:
        name = str(error.fields.get("name", ""))
        failures.count(session, name=name, address=network_of(request), reason=why)
    if not confirming:
        return sign_in_form(request, settings, wanted=wanted, error=error)
    # The session is still there, but its cookie did not come along.
    return page(
        request, "signed_in.html", status_code=status_of(error), wanted=local(wanted), error=str(error)
    )


def of(request: Request) -> Provider:
    """The provider of this installation. Raises NotFound where there is none."""
    provider: Provider | None = request.app.state.oidc
    if provider is None:
        raise NotFound(what="Sign-in by OpenID Connect", key="FACEWARDEN_OIDC__ISSUER")
    return provider


def _return_address(request: Request, settings: Settings) -> str:
    """Where the provider sends the browser back to; it must know this address."""
    scheme = "https" if settings.review.https else request.url.scheme
    return f"{scheme}://{request.url.netloc}{RETURN}"
