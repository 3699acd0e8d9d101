"""One-time passwords, which an admin hands over: shown once, and changed at the first sign-in."""

from sqlalchemy import Engine

from core import passwords
from core.roles import Role
from storage.engine import transaction
from storage.people import accounts


def add(engine: Engine, *, name: str, role: Role, actor: str) -> tuple[str | None, accounts.AccountView]:
    """Add an account; returns its one-time password (None for a service) and the account."""
    password = None if role == Role.SERVICE else passwords.one_time_password()
    hashed = None if password is None else passwords.hash_password(password)
    with transaction(engine) as session:
        return password, accounts.add(session, name=name, role=role, password_hash=hashed, actor=actor)


def reset(engine: Engine, account_id: int, *, actor: str) -> tuple[str, str]:
    """Set a new one-time password; returns the account's name and the password."""
    password = passwords.one_time_password()
    hashed = passwords.hash_password(password)
    with transaction(engine) as session:
        accounts.set_password(session, account_id, hashed, actor=actor, must_change=True)
        return accounts.get(session, account_id).name, password
