"""Accounts: who may sign in, and as what."""

import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core import passwords
from core.errors import Conflict, InvalidValue, NotFound
from core.roles import Role
from storage import audit
from storage.people import sessions, tokens
from storage.tables import Account

NAME = re.compile(r"[a-z0-9](?:[a-z0-9._@-]{0,62}[a-z0-9])?")
FIRST_ADMIN = "admin"


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who somebody is at an OpenID Connect provider, for ever."""

    issuer: str
    subject: str


@dataclass(frozen=True, kw_only=True)
class AccountView:
    id: int
    name: str
    role: Role
    active: bool
    must_change: bool
    blind: bool
    has_password: bool
    issuer: str | None  # of whoever signs in elsewhere; their groups there decide about their role
    created_at: datetime


def _view(row: Account) -> AccountView:
    return AccountView(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        active=row.active,
        must_change=row.must_change,
        blind=row.blind,
        has_password=row.password_hash is not None,
        issuer=row.issuer,
        created_at=row.created_at,
    )


def add(
    session: Session,
    *,
    name: str,
    role: Role,
    password_hash: str | None,
    actor: str,
    must_change: bool = True,
    identity: Identity | None = None,
) -> AccountView:
    """A new account. Services and those with an identity elsewhere have no password; everybody else must
    change theirs at the first sign-in.

    Raises InvalidValue for an invalid name or a missing password, Conflict if the name is taken.
    """
    name = accept_name(name)
    if (password_hash is None) != (role == Role.SERVICE or identity is not None):
        raise InvalidValue(field="password", reason="people have one, services do not")
    if session.scalar(select(Account.id).where(Account.name == name)) is not None:
        raise Conflict(what="account", key=name, reason="there is one with this name")
    row = Account(
        name=name,
        role=role,
        password_hash=password_hash,
        must_change=must_change and password_hash is not None,
        active=True,
        blind=False,
        issuer=None if identity is None else identity.issuer,
        subject=None if identity is None else identity.subject,
    )
    session.add(row)
    session.flush()
    elsewhere = {} if identity is None else {"issuer": identity.issuer}
    audit.record(session, actor=actor, action="account.added", subject=name, role=role, **elsewhere)
    return _view(row)


def accept_name(name: str) -> str:
    """`name` as it is stored. Raises InvalidValue if it is not a valid account name."""
    name = name.strip().lower()
    if not NAME.fullmatch(name):
        reason = "it has 1 to 64 letters a to z, digits, and . _ @ - between them"
        raise InvalidValue(field="name", reason=reason)
    return name


def add_first_admin(session: Session) -> str | None:
    """Create an admin if there is no account at all; returns its one-time password, else None."""
    if session.scalar(select(func.count()).select_from(Account)):
        return None
    password = passwords.one_time_password()
    hashed = passwords.hash_password(password)
    add(session, name=FIRST_ADMIN, role=Role.ADMIN, password_hash=hashed, actor="facewarden")
    return password


def listed(session: Session) -> list[AccountView]:
    """All accounts, by name."""
    return [_view(row) for row in session.scalars(select(Account).order_by(Account.name))]


def get(session: Session, account_id: int) -> AccountView:
    """Raises NotFound."""
    return _view(_row(session, account_id))


def find(session: Session, name: str) -> AccountView:
    """The account of this name. Raises NotFound."""
    row = session.scalar(select(Account).where(Account.name == name.strip().lower()))
    if row is None:
        raise NotFound(what="account", key=name)
    return _view(row)


def password_hash(session: Session, name: str) -> tuple[int, str | None] | None:
    """Id and hash of an active account, to check a sign-in against; None if there is none."""
    row = session.execute(
        select(Account.id, Account.password_hash).where(Account.name == name, Account.active)
    ).first()
    return None if row is None else (row.id, row.password_hash)


def set_password(
    session: Session, account_id: int, hashed: str, *, actor: str, must_change: bool = False
) -> None:
    """Set a password and end every session of the account.

    Raises NotFound, InvalidValue for a service.
    """
    row = _row(session, account_id)
    if row.role == Role.SERVICE:
        raise InvalidValue(field="password", reason="a service has none; make it a token")
    if row.issuer is not None:
        raise InvalidValue(field="password", reason=f"{row.name} signs in at {row.issuer} and has none here")
    row.password_hash, row.must_change = hashed, must_change
    sessions.end_all(session, account_id)
    audit.record(
        session, actor=actor, action="account.password_set", subject=row.name, must_change=must_change
    )


def renew_hash(session: Session, account_id: int, hashed: str) -> None:
    """Store the same password hashed with newer parameters."""
    _row(session, account_id).password_hash = hashed


def set_role(session: Session, account_id: int, role: Role, *, actor: str) -> AccountView:
    """Raises NotFound; Conflict if no admin would be left, or groups elsewhere decide; InvalidValue for
    services."""
    row = _row(session, account_id)
    if row.issuer is not None:
        raise Conflict(what="account", key=row.name, reason=f"its groups at {row.issuer} give it its role")
    if (role == Role.SERVICE) != (row.role == Role.SERVICE):
        raise InvalidValue(field="role", reason="a person cannot become a service, nor a service a person")
    if role != row.role:
        _keep_an_admin(session, row)
        _give_role(session, row, role, actor)
    return _view(row)


def follow_groups(session: Session, account_id: int, role: Role, *, actor: str) -> AccountView:
    """The role that somebody's groups elsewhere give, even if no admin is left. Raises NotFound."""
    row = _row(session, account_id)
    if role != row.role:
        _give_role(session, row, role, actor)
    return _view(row)


def _give_role(session: Session, row: Account, role: Role, actor: str) -> None:
    before, row.role = row.role, role
    tokens.keep_within(session, row.id, Role(before))
    audit.record(session, actor=actor, action="account.role_set", subject=row.name, role=role, was=before)


def set_active(session: Session, account_id: int, active: bool, *, actor: str) -> AccountView:
    """Enable or disable an account. Disabling ends its sessions, and its tokens are refused.

    Raises NotFound; Conflict if no admin would be left.
    """
    row = _row(session, account_id)
    if active != row.active:
        if not active:
            _keep_an_admin(session, row)
            sessions.end_all(session, account_id)
            tokens.revoke_all(session, account_id, actor=actor)
        row.active = active
        audit.record(
            session,
            actor=actor,
            action="account.enabled" if active else "account.disabled",
            subject=row.name,
        )
    return _view(row)


def set_blind(session: Session, account_id: int, blind: bool, *, actor: str) -> None:
    """Whether this reviewer decides before seeing the score. Raises NotFound."""
    row = _row(session, account_id)
    if row.blind != blind:
        row.blind = blind
        audit.record(session, actor=actor, action="account.blind_set", subject=row.name, blind=blind)


def _row(session: Session, account_id: int) -> Account:
    row = session.get(Account, account_id)
    if row is None:
        raise NotFound(what="account", key=account_id)
    return row


def _keep_an_admin(session: Session, row: Account) -> None:
    if row.role != Role.ADMIN or not row.active:
        return
    # Locked in one order, so that two admins disabling each other cannot both succeed.
    admins = session.scalars(
        select(Account.id)
        .where(Account.role == Role.ADMIN, Account.active)
        .order_by(Account.id)
        .with_for_update()
    ).all()
    if len(admins) < 2:
        raise Conflict(what="account", key=row.name, reason="it is the last active admin")
