"""API tokens: keys of machines, with scopes and an end. Only their hashes are kept."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.errors import InvalidValue, NotFound
from core.roles import Role, Scope
from storage import audit
from storage.login_sessions import SEEN_EVERY, TOKEN_BYTES, hashed
from storage.tables import Account, ApiToken, utc_now

PREFIX = "fw_"  # by which scanners of leaked secrets can know one
LONGEST_DAYS = 366
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
    """A valid token and the account behind it, as it is now."""

    token_id: int
    account_id: int
    name: str
    role: Role
    scopes: frozenset[Scope]
    must_change: bool
    blind: bool
    stale: bool  # `last_used_at` should be written


def create(
    session: Session,
    account_id: int,
    *,
    name: str,
    scopes: Collection[Scope],
    days: float,
    actor: str,
    now: datetime | None = None,
) -> tuple[TokenView, str]:
    """A new token: what is stored, and the token itself, which is never seen again.

    Raises NotFound for the account, InvalidValue for the rest.
    """
    account = session.get(Account, account_id)
    if account is None or not account.active:
        raise NotFound(what="account", key=account_id)
    name = name.strip()
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise InvalidValue(field="name", reason=f"it has 1 to {LONGEST_NAME} printable characters")
    if not scopes:
        raise InvalidValue(field="scopes", reason="a token needs one or more")
    if not 0 < days <= LONGEST_DAYS:
        raise InvalidValue(field="days", reason=f"a token lives for {LONGEST_DAYS} days at most")
    token = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    now = now or utc_now()
    row = ApiToken(
        account_id=account_id,
        name=name,
        token_sha256=hashed(token),
        scopes=sorted(set(scopes)),
        created_at=now,
        expires_at=now + timedelta(days=days),
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
    )
    return _view(row, account.name), token


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
    """Who this token stands for; None where it is unknown, revoked, over or its account disabled."""
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
    """Note that the token is in use."""
    session.execute(update(ApiToken).where(ApiToken.id == token_id).values(last_used_at=now or utc_now()))


def listed(session: Session, *, account_id: int | None = None) -> list[TokenView]:
    """Tokens, of one account or of all, the newest first."""
    query = select(ApiToken, Account.name).join(Account, Account.id == ApiToken.account_id)
    if account_id is not None:
        query = query.where(ApiToken.account_id == account_id)
    return [_view(row, name) for row, name in session.execute(query.order_by(ApiToken.id.desc()))]


def revoke(session: Session, token_id: int, *, actor: str, account_id: int | None = None) -> TokenView:
    """End a token; `account_id` limits whose. Raises NotFound."""
    row = session.execute(
        select(ApiToken, Account.name)
        .join(Account, Account.id == ApiToken.account_id)
        .where(ApiToken.id == token_id)
    ).first()
    if row is None or account_id not in {None, row[0].account_id}:
        raise NotFound(what="token", key=token_id)
    token, name = row
    _revoke(session, token, name, actor)
    return _view(token, name)


def revoke_all(session: Session, account_id: int, *, actor: str) -> None:
    """End every token of an account."""
    query = (
        select(ApiToken, Account.name)
        .join(Account, Account.id == ApiToken.account_id)
        .where(ApiToken.account_id == account_id)
    )
    for token, name in session.execute(query).all():
        _revoke(session, token, name, actor)


def _revoke(session: Session, token: ApiToken, account: str, actor: str) -> None:
    if token.revoked_at is None:
        token.revoked_at = utc_now()
        audit.record(
            session, actor=actor, action="token.revoked", subject=f"{account}/{token.name}", token=token.id
        )
