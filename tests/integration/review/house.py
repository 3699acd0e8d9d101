"""The review service over an empty database, and what its doors see: accounts, sessions, tokens."""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from argon2 import PasswordHasher
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine, select, update

from core.roles import Role, Scope
from core.settings import ReviewSettings, Settings
from review.app import create_app
from review.auth.cookies import SESSION
from storage import migrate
from storage.engine import connect, transaction
from storage.people import accounts, sessions, tokens
from storage.tables import Account, ApiToken, LoginSession

PASSWORD = "correct horse battery"  # noqa: S105  of every account in these tests


@dataclass(frozen=True, kw_only=True)
class Visit:
    """A session: the cookie that stands for it, and its CSRF token."""

    cookie: str
    csrf_token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Cookie": f"{SESSION}={self.cookie}", "X-CSRF-Token": self.csrf_token}


@dataclass(frozen=True, kw_only=True)
class House:
    app: FastAPI
    engine: Engine

    def account(self, name: str, role: Role = Role.REVIEWER, *, must_change: bool = False) -> int:
        """Its id; made where it is not there yet."""
        with transaction(self.engine) as session:
            known = session.scalar(select(Account.id).where(Account.name == name))
            if known is not None:
                return known
            # Quick parameters: these tests are not about Argon2.
            quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
            hashed = None if role == Role.SERVICE else quick.hash(PASSWORD)
            made = accounts.add(
                session, name=name, role=role, password_hash=hashed, actor="test", must_change=must_change
            )
            return made.id

    def visit(self, account_id: int, *, hours: float = 1, confirmed: bool = False) -> Visit:
        """A session; `confirmed`: its password has just been given once more."""
        with transaction(self.engine) as session:
            cookie = sessions.start(session, account_id, hours=hours)
            session.flush()
            if confirmed:
                cookie = sessions.confirm(session, sessions.hashed(cookie))
                session.flush()
            row = session.get_one(LoginSession, sessions.hashed(cookie))
            return Visit(cookie=cookie, csrf_token=row.csrf_token)

    def bearer(self, account_id: int, scopes: Collection[Scope]) -> dict[str, str]:
        with transaction(self.engine) as session:
            view, token = tokens.create(
                session, account_id, name="t", scopes=[Scope.READ], days=1, actor="test"
            )
            # Also such as no release makes: what the account's role does not give, its token must not either.
            session.execute(update(ApiToken).where(ApiToken.id == view.id).values(scopes=sorted(set(scopes))))
        return {"Authorization": f"Bearer {token}"}

    @contextmanager
    def browser(self, *, scheme: str = "http") -> Iterator[TestClient]:
        """A browser of its own, with cookies, that follows no redirect."""
        with TestClient(self.app, base_url=f"{scheme}://testserver", follow_redirects=False) as client:
            yield client


@cache
def _migrated() -> bytes:
    """An empty database: all migrations once, and not for every house."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "facewarden.sqlite3")
        engine = connect(f"sqlite:///{path}")
        migrate.upgrade(engine)
        engine.dispose()
        return path.read_bytes()


@contextmanager
def open_house(folder: Path, review: ReviewSettings | None = None, **further: Any) -> Iterator[House]:
    review = (review or ReviewSettings()).model_copy(update={"hosts": "testserver"})
    settings = Settings(home=folder / "home", review=review, _env_file=None, **further)
    settings.home.mkdir(parents=True)
    (settings.home / "facewarden.sqlite3").write_bytes(_migrated())
    app = create_app(settings)
    try:
        yield House(app=app, engine=app.state.engine)
    finally:
        app.state.engine.dispose()


def csrf_token(page: str) -> str:
    """The token in a page's form."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found is not None, page
    return found[1]


def alert(page: str) -> str:
    """What a page complains of."""
    found = re.search(r'role="alert">\s*([^<]+?)\s*<', page)
    assert found is not None, page
    return found[1]
