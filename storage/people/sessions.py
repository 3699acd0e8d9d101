"""Browsers that have signed in. The cookie holds a random token; the table holds its hash."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.roles import Role
from storage.tables import Account, LoginSession, utc_now

TOKEN_BYTES = 32
SEEN_EVERY = timedelta(minutes=1)  # `last_seen_at` is updated at most this often, so that reads rarely write


@dataclass(frozen=True, kw_only=True)
class SignedIn:
    """A valid session with the current state of its account."""

    session_id: str
    account_id: int
    name: str
    role: Role
    must_change: bool
    blind: bool
    csrf_token: str
    confirmed_at: datetime | None  # when the password was last entered again
    stale: bool  # `last_seen_at` should be updated


def start(
    session: Session,
    account_id: int,
    *,
    hours: float,
    now: datetime | None = None,
) -> str:
    """Start a session; returns the token for the cookie."""
    now = now or utc_now()
    token = secrets.token_urlsafe(TOKEN_BYTES)
    session.add(
        LoginSession(
            id=hashed(token),
            account_id=account_id,
            csrf_token=secrets.token_urlsafe(TOKEN_BYTES),
            created_at=now,
            expires_at=now + timedelta(hours=hours),
            last_seen_at=now,
        )
    )
    return token


def confirm(session: Session, session_id: str, *, now: datetime | None = None) -> str:
    """Record that the password was entered again; returns a new token for the cookie.

    A stolen old token gains nothing. The CSRF token stays, so that other tabs keep working. Raises NotFound.
    """
    now = now or utc_now()
    row = session.get(LoginSession, session_id)
    if row is None:
        raise NotFound(what="session", key="of this browser")
    token = secrets.token_urlsafe(TOKEN_BYTES)
    row.id, row.confirmed_at, row.last_seen_at = hashed(token), now, now
    return token


def owner(session: Session, session_id: str) -> int | None:
    """The account of a session; None if it has ended."""
    row = session.get(LoginSession, session_id)
    return None if row is None else row.account_id


def hashed(token: str) -> str:
    # The token has 256 random bits, so a plain hash is as good as a slow one.
    return hashlib.sha256(token.encode()).hexdigest()


def find(
    session: Session, token: str, *, idle_minutes: float, now: datetime | None = None
) -> SignedIn | None:
    """The session of this token; None if unknown, expired or idle too long, or its account is disabled."""
    now = now or utc_now()
    row = session.execute(
        select(LoginSession, Account)
        .join(Account, Account.id == LoginSession.account_id)
        .where(
            LoginSession.id == hashed(token),
            LoginSession.expires_at > now,
            LoginSession.last_seen_at > now - timedelta(minutes=idle_minutes),
            Account.active,
        )
    ).first()
    if row is None:
        return None
    login, account = row
    return SignedIn(
        session_id=login.id,
        account_id=account.id,
        name=account.name,
        role=Role(account.role),
        must_change=account.must_change,
        blind=account.blind,
        csrf_token=login.csrf_token,
        confirmed_at=login.confirmed_at,
        stale=now - login.last_seen_at > SEEN_EVERY,
    )


def touch(session: Session, session_id: str, *, now: datetime | None = None) -> None:
    """Record that the session is in use."""
    session.execute(
        update(LoginSession).where(LoginSession.id == session_id).values(last_seen_at=now or utc_now())
    )


def end(session: Session, token: str) -> None:
    """Sign out."""
    session.execute(delete(LoginSession).where(LoginSession.id == hashed(token)))


def end_all(session: Session, account_id: int) -> None:
    """Sign the account out everywhere."""
    session.execute(delete(LoginSession).where(LoginSession.account_id == account_id))


def sweep(session: Session, *, now: datetime | None = None) -> None:
    """Delete expired sessions."""
    session.execute(delete(LoginSession).where(LoginSession.expires_at <= (now or utc_now())))
