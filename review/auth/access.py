"""Who sends a request and whether they may: every route except the sign-in depends on `require`."""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from sqlalchemy import Engine
from starlette.datastructures import FormData

from core.errors import (
    ForgedRequest,
    NotAllowed,
    NotSignedIn,
    PasswordMustChange,
    PasswordNeeded,
    SessionOnly,
)
from core.roles import ROLE_SCOPES, Role, Scope
from review.auth.cookies import session_token
from review.resources import Configured, Database
from storage.engine import reading, transaction
from storage.people import sessions, tokens
from storage.tables import utc_now

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf_token"
FORM = "application/x-www-form-urlencoded"
FORM_BYTES = 1024**2


class Permission(StrEnum):
    VIEW = "view"  # queue, videos, explanations, dashboard
    DECIDE = "decide"  # claim, release, skip, decide
    UPLOAD = "upload"
    INTERACTIVE = "interactive"  # upload with the priority of what people wait for
    EXPORT = "export"
    RESCREEN = "rescreen"
    ADMIN = "admin"  # accounts, tokens of others, webhooks, audit log


_REVIEWER = frozenset(Permission) - {Permission.ADMIN}
ROLE_PERMISSIONS = {
    Role.VIEWER: frozenset({Permission.VIEW}),
    Role.REVIEWER: _REVIEWER,
    Role.ADMIN: frozenset(Permission),
    Role.SERVICE: frozenset(Permission),  # limited by the scopes of its tokens
}
SCOPE_PERMISSIONS = {
    Scope.READ: Permission.VIEW,
    Scope.DECIDE: Permission.DECIDE,
    Scope.UPLOAD: Permission.UPLOAD,
    Scope.INTERACTIVE: Permission.INTERACTIVE,
    Scope.EXPORT: Permission.EXPORT,
    Scope.RESCREEN: Permission.RESCREEN,
    Scope.ADMIN: Permission.ADMIN,
}


def usable_scopes(role: Role) -> list[Scope]:
    """The scopes that are of use to a token of this role."""
    return [scope for scope in Scope if scope in ROLE_SCOPES[role]]


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Who sends a request."""

    account_id: int
    name: str
    role: Role
    permissions: frozenset[Permission]
    via: Literal["session", "token"]
    csrf_token: str | None  # the session's; a token needs none
    blind: bool  # scores are hidden until they decide
    must_change: bool = False  # has a one-time password, which only allows setting another
    session_id: str | None = None
    token_id: int | None = None
    confirmed_at: datetime | None = None  # when the password was last entered again in this session

    def confirmed(self, minutes: float) -> bool:
        """Whether this session had the password entered again within the last `minutes`."""
        return self.confirmed_at is not None and utc_now() - self.confirmed_at < timedelta(minutes=minutes)


# For the OpenAPI document: the routes also accept a session's cookie.
_bearer = HTTPBearer(auto_error=False, description="An API token: `Authorization: Bearer fw_…`.")


def identify(
    request: Request, engine: Database, settings: Configured, _: Annotated[object, Depends(_bearer)]
) -> Principal | None:
    """The sender of a request, by API token or session cookie; None if neither is valid.

    If a token is sent, only the token counts: a cookie does not make up for a bad one.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme:
        return _bearer_of(engine, token.strip()) if scheme.lower() == "bearer" else None
    cookie = session_token(request, settings.review)
    if cookie is None:
        return None
    with reading(engine) as session:
        found = sessions.find(session, cookie, idle_minutes=settings.review.idle_minutes)
    if found is None:
        return None
    if found.stale:
        with transaction(engine) as session:
            sessions.touch(session, found.session_id)
    return Principal(
        account_id=found.account_id,
        name=found.name,
        role=found.role,
        permissions=ROLE_PERMISSIONS[found.role],
        via="session",
        csrf_token=found.csrf_token,
        blind=found.blind,
        must_change=found.must_change,
        session_id=found.session_id,
        confirmed_at=found.confirmed_at,
    )


def _bearer_of(engine: Engine, token: str) -> Principal | None:
    with reading(engine) as session:
        found = tokens.find(session, token)
    if found is None:
        return None
    if found.stale:
        with transaction(engine) as session:
            tokens.touch(session, found.token_id)
    granted = frozenset(SCOPE_PERMISSIONS[scope] for scope in found.scopes)
    return Principal(
        account_id=found.account_id,
        name=found.name,
        role=found.role,
        permissions=ROLE_PERMISSIONS[found.role] & granted,
        via="token",
        csrf_token=None,
        blind=found.blind,
        must_change=found.must_change,
        token_id=found.token_id,
    )


MaybeSomebody = Annotated[Principal | None, Depends(identify)]


def require(
    *permissions: Permission,
    with_one_time_password: bool = False,
    by_token: bool = True,
    confirmed: bool = False,
    csrf_in_form: bool = False,
) -> Callable[..., Awaitable[Principal]]:
    """A dependency that returns the principal if they have all `permissions`.

    With `confirmed`, a session (but not a token) must have had its password entered again recently. With
    `csrf_in_form` the route itself calls `refuse_forgery`, once it has read the token from a large form.

    It raises NotSignedIn (401, or a redirect to /sign-in for pages), NotAllowed, PasswordMustChange,
    PasswordNeeded (for pages a redirect to /confirm) and SessionOnly (403); and ForgedRequest (403) where an
    unsafe method comes with a session but without its CSRF token in the header `X-CSRF-Token` or the form
    field `csrf_token`.
    """

    async def allowed(request: Request, settings: Configured, principal: MaybeSomebody) -> Principal:
        if principal is None:
            raise NotSignedIn
        request.state.principal = principal  # for error pages
        if principal.via == "session" and request.method not in SAFE_METHODS:
            refuse_other_sites(request)
            if not csrf_in_form:
                refuse_forgery(principal, await _csrf_token(request))
        if principal.via == "token" and not by_token:
            raise SessionOnly
        if principal.must_change and not with_one_time_password:
            raise PasswordMustChange(name=principal.name)
        for permission in permissions:
            require_more(principal, permission)
        minutes = settings.review.confirm_minutes
        if confirmed and principal.via == "session" and not principal.confirmed(minutes):
            raise PasswordNeeded(minutes=f"{minutes:g}")
        return principal

    return allowed


def _needed(principal: Principal, permission: Permission) -> str:
    """What the principal lacks: a role, or a scope of the token."""
    if permission in ROLE_PERMISSIONS[principal.role]:
        scope = next(scope for scope, given in SCOPE_PERMISSIONS.items() if given == permission)
        return f"a token with the scope {scope}"
    role = next(role for role in Role if permission in ROLE_PERMISSIONS[role])
    return f"the role {role}"


def require_more(principal: Principal, permission: Permission) -> None:
    """For what only some requests of a route need. Raises NotAllowed."""
    if permission not in principal.permissions:
        raise NotAllowed(name=principal.name, needed=_needed(principal, permission))


async def _csrf_token(request: Request) -> str | None:
    given = request.headers.get(CSRF_HEADER)
    if given is None and _is_small_form(request):
        form: FormData = await request.form()
        field = form.get(CSRF_FIELD)
        given = field if isinstance(field, str) else None
    return given


def refuse_forgery(principal: Principal, given: str | None) -> None:
    """Raises ForgedRequest if this is not the CSRF token of the principal's session; API tokens need none."""
    if principal.via == "token":
        return
    if given is None:
        raise ForgedRequest(reason="it has no CSRF token")
    if not hmac.compare_digest(given.encode(), (principal.csrf_token or "").encode()):
        raise ForgedRequest(reason="its CSRF token belongs to another session")


def _is_small_form(request: Request) -> bool:
    """Whether the body is small enough to read whole, which an upload's is not."""
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    length = request.headers.get("Content-Length", "")
    return kind == FORM and length.isdecimal() and int(length) <= FORM_BYTES


def refuse_other_sites(request: Request) -> None:
    """Raises ForgedRequest if the browser says that another site sent the request."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        raise ForgedRequest(reason="another site sent it")


# For people only, not tokens.
SignedIn = Annotated[Principal, Depends(require(by_token=False))]
Newcomer = Annotated[Principal, Depends(require(by_token=False, with_one_time_password=True))]
Viewer = Annotated[Principal, Depends(require(Permission.VIEW))]
Reviewer = Annotated[Principal, Depends(require(Permission.VIEW, Permission.DECIDE))]
Uploader = Annotated[Principal, Depends(require(Permission.UPLOAD))]
FormUploader = Annotated[Principal, Depends(require(Permission.UPLOAD, csrf_in_form=True))]
Exporter = Annotated[Principal, Depends(require(Permission.VIEW, Permission.EXPORT))]
Rescreener = Annotated[Principal, Depends(require(Permission.RESCREEN))]
Admin = Annotated[Principal, Depends(require(Permission.ADMIN))]
# For managing access: neither a leaked token nor a stolen cookie is enough.
Confirmed = Annotated[Principal, Depends(require(by_token=False, confirmed=True))]
AccountKeeper = Annotated[Principal, Depends(require(Permission.ADMIN, by_token=False, confirmed=True))]
# For what cannot be undone or gives access on: a token does, a cookie alone does not.
ConfirmedAdmin = Annotated[Principal, Depends(require(Permission.ADMIN, confirmed=True))]
