"""Accounts of people who sign in at an OpenID Connect provider: known by issuer and subject, nothing else."""

import hashlib
import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core.roles import Role
from storage.people import accounts, sessions, tokens
from storage.people.accounts import NAME, AccountView
from storage.tables import Account, SpentNonce, utc_now

ACTOR = "sign-in"
LONGEST_BASE = 56  # characters of a name, with room for a number behind


def admit(session: Session, *, issuer: str, subject: str, name: str, role: Role | None) -> AccountView | None:
    """The account, with the role that its groups give now; made if there is none.

    Without a role there is no access: none is made, and the sessions and tokens of one that is there end.
    """
    row = session.scalar(
        select(Account).where(Account.issuer == issuer, Account.subject == subject).with_for_update()
    )
    if row is None:
        if role is None:
            return None
        free = _free_name(session, name, issuer, subject)
        return accounts.add(
            session,
            name=free,
            role=role,
            password_hash=None,
            actor=ACTOR,
            identity=accounts.Identity(issuer=issuer, subject=subject),
        )
    if role is None:
        sessions.end_all(session, row.id)
        tokens.revoke_all(session, row.id, actor=ACTOR)
        return accounts.get(session, row.id)
    return accounts.follow_groups(session, row.id, role, actor=ACTOR)


def _free_name(session: Session, wanted: str, issuer: str, subject: str) -> str:
    """A name that no account has: that of the provider if it can be one, with the provider's host behind it,
    or a number, where another has it."""
    base = re.sub(r"[^a-z0-9._@-]+", "-", wanted.strip().lower()).strip("._@-")[:LONGEST_BASE].strip("._@-")
    base = base or f"person-{hashlib.sha256(subject.encode()).hexdigest()[:8]}"
    at_host = f"{base}@{urlsplit(issuer).hostname or ''}"
    candidates = [base, at_host] if "@" not in base and NAME.fullmatch(at_host) else [base]
    for candidate in (*candidates, *(f"{base}-{number}" for number in range(2, 1_000_000))):
        if session.scalar(select(Account.id).where(Account.name == candidate)) is None:
            return candidate
    raise AssertionError("a million accounts of one name")


def spend(session: Session, nonce: str, *, minutes: float) -> bool:
    """Use up the nonce of a sign-in; False if it was used before, within `minutes`."""
    now = utc_now()
    session.execute(delete(SpentNonce).where(SpentNonce.expires_at < now))
    insert: Any = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    values = {"nonce_sha256": hashlib.sha256(nonce.encode()).hexdigest()}
    statement = (
        insert(SpentNonce)
        .values(**values, expires_at=now + timedelta(minutes=minutes))
        .on_conflict_do_nothing()
    )
    return session.scalar(statement.returning(SpentNonce.nonce_sha256)) is not None
