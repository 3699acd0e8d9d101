"""API tokens: machines' keys, with scopes and an expiry. Only their hashes are stored."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.errors import InvalidValue, NotFound, NotSignedIn, TokenTooWeak
from core.roles import ROLE_SCOPES, Role, Scope
from storage import audit
from storage.people.sessions import SEEN_EVERY, TOKEN_BYTES, hashed
from storage.tables import Account, ApiToken, utc_now

PREFIX = "fw_"  # lets scanners for leaked secrets recognise one
LONGEST_DAYS = 366
USUAL_DAYS = 90  # by default
LONGEST_NAME = 64


@dataclass(frozen=True, kw_only=True)
class TokenView:
    id: int
    account_id: int
    account: str  # its name
    name: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None

    @property
    def active(self) -> bool:
        return self.revoked_at is None and self.expires_at > utc_now()


@dataclass(frozen=True, kw_only=True)
class Bearer:
    """A valid token with the current state of its account."""

    token_id: int
    account_id: int
    name: str
    role: Role
    scopes: frozenset[Scope]
    must_change: bool
    blind: bool
    stale: bool  # `last_used_at` should be updated


def create(
    session: Session,
    account_id: int,
    *,
    name: str,
    scopes: Collection[Scope],
    days: float,
    actor: str,
    parent_id: int | None = None,
    now: datetime | None = None,
) -> tuple[TokenView, str]:
    """Create a token; returns what is stored, and the token itself, which cannot be shown again.

    `parent_id` is the token that requests it and whose rights it may not exceed. Raises NotFound for the
    account, NotSignedIn if the parent has expired, TokenTooWeak if the new token would exceed it, and
    InvalidValue for other faults.
    """
    account = session.get(Account, account_id)
    if account is None or not account.active:
        raise NotFound(what="account", key=account_id)
    name = name.strip()
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise InvalidValue(field="name", reason=f"it has 1 to {LONGEST_NAME} printable characters")
    if not scopes:
        raise InvalidValue(field="scopes", reason="a token needs one or more")
    beyond = sorted(set(scopes) - ROLE_SCOPES[Role(account.role)])
    if beyond:
        reason = f"the role {account.role} of {account.name} has no right to {', '.join(beyond)}"
        raise InvalidValue(field="scopes", reason=reason)
    if not 0 < days <= LONGEST_DAYS:
        raise InvalidValue(field="days", reason=f"a token lives for {LONGEST_DAYS} days at most")
    token = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    now = now or utc_now()
    expires_at = now + timedelta(days=days)
    if parent_id is not None:
        expires_at = min(expires_at, _within(session, parent_id, account, scopes, now))
    row = ApiToken(
        account_id=account_id,
        name=name,
        token_sha256=hashed(token),
        scopes=sorted(set(scopes)),
        created_at=now,
        expires_at=expires_at,
        parent_id=parent_id,
    )
    session.add(row)
    session.flush()
    audit.record(
        session,
        actor=actor,
        action="token.created",
        subject=f"{account.name}/{name}",
        token=row.id,
        scopes=row.scopes,
        expires_at=row.expires_at.isoformat(),
        **({} if parent_id is None else {"made_by_token": parent_id}),
    )
    return _view(row, account.name), token


def _within(
    session: Session, parent_id: int, account: Account, scopes: Collection[Scope], now: datetime
) -> datetime:
    """When the parent expires; raises if a token with these scopes for this account would exceed it."""
    # Locked: whoever revokes the parent now must see the child, or this must see the parent revoked.
    parent = session.scalar(select(ApiToken).where(ApiToken.id == parent_id).with_for_update())
    if parent is None or parent.revoked_at is not None or parent.expires_at <= now:
        raise NotSignedIn
    if parent.account_id != account.id:
        raise TokenTooWeak(reason="it makes tokens of its own account only")
    beyond = sorted(set(scopes) - set(parent.scopes))
    if beyond:
        raise TokenTooWeak(reason=f"it has not itself {', '.join(beyond)}")
    return parent.expires_at


def _view(row: ApiToken, account: str) -> TokenView:
    return TokenView(
        id=row.id,
        account_id=row.account_id,
        account=account,
        name=row.name,
        scopes=[Scope(scope) for scope in row.scopes],
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )


def find(session: Session, token: str, *, now: datetime | None = None) -> Bearer | None:
    """The bearer of this token; None if it is unknown, revoked or expired, or its account is disabled."""
    now = now or utc_now()
    row = session.execute(
        select(ApiToken, Account)
        .join(Account, Account.id == ApiToken.account_id)
        .where(
            ApiToken.token_sha256 == hashed(token),
            ApiToken.revoked_at.is_(None),
            ApiToken.expires_at > now,
            Account.active,
        )
    ).first()
    if row is None:
        return None
    key, account = row
    return Bearer(
        token_id=key.id,
        account_id=account.id,
        name=account.name,
        role=Role(account.role),
        scopes=frozenset(Scope(scope) for scope in key.scopes),
        must_change=account.must_change,
        blind=account.blind,
        stale=key.last_used_at is None or now - key.last_used_at > SEEN_EVERY,
    )


def touch(session: Session, token_id: int, *, now: datetime | None = None) -> None:
    """Record that the token is in use."""
    session.execute(update(ApiToken).where(ApiToken.id == token_id).values(last_used_at=now or utc_now()))


def listed(session: Session, *, account_id: int | None = None) -> list[TokenView]:
    """Tokens of one account or of all, the newest first."""
    query = select(ApiToken, Account.name).join(Account, Account.id == ApiToken.account_id)
    if account_id is not None:
        query = query.where(ApiToken.account_id == account_id)
    return [_view(row, name) for row, name in session.execute(query.order_by(ApiToken.id.desc()))]


def revoke(session: Session, token_id: int, *, actor: str, account_id: int | None = None) -> TokenView:
    """Revoke a token, of `account_id` only if given. Raises NotFound."""
    row = session.execute(
        select(ApiToken, Account.name)
        .join(Account, Account.id == ApiToken.account_id)
        .where(ApiToken.id == token_id)
        .with_for_update(of=ApiToken)
    ).first()
    if row is None or account_id not in {None, row[0].account_id}:
        raise NotFound(what="token", key=token_id)
    token, name = row
    _revoke(session, token, name, actor)
    return _view(token, name)


def keep_within(session: Session, account_id: int, role: Role) -> None:
    """Remove from an account's tokens the scopes that are useless under `role`.

    Earlier releases granted them, and lowering a role leaves them behind.
    """
    for token in session.scalars(select(ApiToken).where(ApiToken.account_id == account_id)):
        token.scopes = sorted(ROLE_SCOPES[role] & {Scope(scope) for scope in token.scopes})


def revoke_all(session: Session, account_id: int, *, actor: str) -> None:
    """Revoke every token of an account."""
    query = (
        select(ApiToken, Account.name)
        .join(Account, Account.id == ApiToken.account_id)
        .where(ApiToken.account_id == account_id)
    )
    for token, name in session.execute(query).all():
        _revoke(session, token, name, actor)


def _revoke(session: Session, token: ApiToken, account: str, actor: str) -> None:
    # Also the tokens it created, and theirs: whoever stole it may have created one to keep access.
    family = [token]
    for each in family:
        family += session.scalars(select(ApiToken).where(ApiToken.parent_id == each.id))
        if each.revoked_at is None:
            each.revoked_at = utc_now()
            audit.record(
                session, actor=actor, action="token.revoked", subject=f"{account}/{each.name}", token=each.id
            )
