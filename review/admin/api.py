"""/v1: the caller, accounts, tokens and the audit log as JSON."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from core.errors import printable
from core.roles import Role, Scope
from review.admin.one_time_passwords import add, reset
from review.auth.access import AccountKeeper, Admin, ConfirmedAdmin, Permission, Principal, require
from review.problem_schema import problems
from review.resources import Database, Id, Key
from storage import audit, audit_files
from storage.engine import reading, transaction
from storage.people import accounts, tokens

router = APIRouter(prefix="/v1", responses=problems(404, 409))

Anybody = Annotated[Principal, Depends(require())]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Me(BaseModel):
    account_id: int
    name: str
    role: Role
    permissions: list[Permission]
    via: str = Field(description="`session` or `token`")
    blind: bool = Field(description="Whether scores are hidden from this reviewer until they have decided.")


class AccountOut(BaseModel):
    id: int
    name: str
    role: Role
    active: bool
    must_change: bool = Field(description="Whether the password is a one-time password.")
    blind: bool
    has_password: bool
    issuer: str | None = Field(
        description="Where they sign in, if not here; their groups there give the role."
    )
    created_at: datetime


class AccountMade(AccountOut):
    one_time_password: str | None = Field(description="Shown only once; null for a service.")


class NewAccount(_Body):
    name: str = Field(max_length=200)
    role: Role


class AccountChange(_Body):
    role: Role | None = None
    active: bool | None = None


class OneTimePassword(BaseModel):
    name: str
    one_time_password: str = Field(description="Shown only once.")


class TokenOut(BaseModel):
    id: int
    account_id: int
    account: str
    name: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None


class TokenMade(TokenOut):
    token: str = Field(description="Shown only once.")


class NewToken(_Body):
    account_id: Key
    name: str = Field(max_length=200)
    scopes: list[Scope]
    days: float = Field(tokens.USUAL_DAYS, gt=0, le=tokens.LONGEST_DAYS)


class EventOut(BaseModel):
    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    previous_hash: str = Field(description="The hash of the event before.")
    hash: str


class Events(BaseModel):
    events: list[EventOut]
    next_before: int | None = Field(description="The `before` of the next page; null on the last.")


class VerificationOut(BaseModel):
    sound: bool
    events: int = Field(description="Number of events checked.")
    head: str = Field(description="Hash of the last intact event; keep it elsewhere and check for it later.")
    broken_at: int | None = Field(description="Id of the first event that does not match.")
    expected_found: bool | None = Field(description="Whether the expected hash is in the chain.")


@router.get("/me", tags=["accounts"])
def me(principal: Anybody) -> Me:
    """Who you are, and what you may do."""
    return Me(
        account_id=principal.account_id,
        name=principal.name,
        role=principal.role,
        permissions=sorted(principal.permissions),
        via=principal.via,
        blind=principal.blind,
    )


@router.get("/accounts", tags=["accounts"])
def list_accounts(engine: Database, _: Admin) -> list[AccountOut]:
    """All accounts, by name."""
    with reading(engine) as session:
        return [AccountOut(**asdict(account)) for account in accounts.listed(session)]


@router.post("/accounts", tags=["accounts"], status_code=201)
def add_account(engine: Database, principal: AccountKeeper, body: NewAccount) -> AccountMade:
    """Add an account, with a one-time password for the first sign-in."""
    password, account = add(engine, name=body.name, role=body.role, actor=principal.name)
    return AccountMade(**asdict(account), one_time_password=password)


@router.patch("/accounts/{account_id}", tags=["accounts"])
def change_account(
    engine: Database, principal: AccountKeeper, account_id: Id, body: AccountChange
) -> AccountOut:
    """Change an account's role, or enable or disable it."""
    with transaction(engine) as session:
        account = accounts.get(session, account_id)
        if body.role is not None:
            account = accounts.set_role(session, account_id, body.role, actor=principal.name)
        if body.active is not None:
            account = accounts.set_active(session, account_id, body.active, actor=principal.name)
    return AccountOut(**asdict(account))


@router.post("/accounts/{account_id}/password", tags=["accounts"])
def reset_password(engine: Database, principal: AccountKeeper, account_id: Id) -> OneTimePassword:
    """Set a new one-time password; the account is signed out everywhere."""
    name, password = reset(engine, account_id, actor=principal.name)
    return OneTimePassword(name=name, one_time_password=password)


@router.get("/tokens", tags=["tokens"])
def list_tokens(engine: Database, _: Admin) -> list[TokenOut]:
    """The tokens of all accounts, the newest first."""
    with reading(engine) as session:
        return [TokenOut(**asdict(token)) for token in tokens.listed(session)]


@router.post("/tokens", tags=["tokens"], status_code=201)
def create_token(engine: Database, principal: ConfirmedAdmin, body: NewToken) -> TokenMade:
    """Create a token for an account. One created by a token stays within its account, scopes and expiry."""
    with transaction(engine) as session:
        view, token = tokens.create(
            session,
            body.account_id,
            name=body.name,
            scopes=body.scopes,
            days=body.days,
            actor=principal.name,
            parent_id=principal.token_id,
        )
    return TokenMade(**asdict(view), token=token)


@router.delete("/tokens/{token_id}", tags=["tokens"])
def revoke_token(engine: Database, principal: Admin, token_id: Id) -> TokenOut:
    """Revoke a token."""
    with transaction(engine) as session:
        return TokenOut(**asdict(tokens.revoke(session, token_id, actor=principal.name)))


@router.get("/audit", tags=["audit"])
def list_events(
    engine: Database,
    _: Admin,
    before: Annotated[Key | None, Query()] = None,
    actor: Annotated[str | None, Query(max_length=200)] = None,
    action: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Events:
    """The audit log, the newest first."""
    with reading(engine) as session:
        found = audit.page(
            session,
            before=before,
            actor=printable(actor or ""),
            action=printable(action or ""),
            limit=limit + 1,
        )
    return Events(
        events=[EventOut(**asdict(event)) for event in found[:limit]],
        next_before=found[limit - 1].id if len(found) > limit else None,
    )


@router.get("/audit/verification", tags=["audit"])
def verify_log(
    engine: Database,
    _: Admin,
    expected: Annotated[str | None, Query(pattern="^[0-9a-f]{64}$")] = None,
) -> VerificationOut:
    """Check the log's whole chain, and look for a hash that was kept."""
    with reading(engine) as session:
        found = audit.verify(session, expected=expected)
    return VerificationOut(sound=found.sound, **asdict(found))


@router.get(
    "/audit/export",
    tags=["audit"],
    response_class=StreamingResponse,
    responses={200: {"content": {"application/jsonl": {}, "text/csv": {}}}},
)
def export_log(
    engine: Database,
    principal: Admin,
    since: Annotated[
        str | None,
        Query(max_length=40, description="Only from this date or moment on (ISO 8601, UTC)."),
    ] = None,
    format: audit_files.Format = audit_files.Format.JSONL,  # noqa: A002  the parameter's name
) -> StreamingResponse:
    """The log with its hashes, as a file that `facewarden audit verify FILE` checks without this service."""
    lines = audit_files.export(
        engine, format, actor=principal.name, since=audit_files.moment(since) if since else None
    )
    return StreamingResponse(
        lines,
        media_type=audit_files.MEDIA_TYPES[format],
        headers={"Content-Disposition": f'attachment; filename="facewarden-audit.{format}"'},
    )
