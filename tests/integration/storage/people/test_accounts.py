"""Accounts, sessions, tokens and tries at signing in, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from core.errors import Conflict, InvalidValue, NotFound, TooManySignIns
from core.roles import Role, Scope
from storage.engine import reading, transaction
from storage.people import accounts, sessions, sign_ins, tokens
from storage.people.sign_ins import Limits
from storage.tables import ApiToken, LoginSession, SignInAttempt, utc_now

HASH = "hash"
LIMITS = Limits(window_minutes=15, failures_per_name=3, failures_per_address=5)


def add(engine: Engine, name: str, role: Role = Role.REVIEWER) -> int:
    with transaction(engine) as session:
        hashed = None if role == Role.SERVICE else HASH
        return accounts.add(session, name=name, role=role, password_hash=hashed, actor="test").id


def test_a_name_that_cannot_be_is_refused(engine: Engine) -> None:
    for name in ("", " ", "a b", "ä", "-a", "a-", "a" * 65, "a\nb", "a\x00"):
        with pytest.raises(InvalidValue, match="name"):
            add(engine, name)


def test_names_are_lowercase_and_unique(engine: Engine) -> None:
    add(engine, " Ann@Example.org ")
    with reading(engine) as session:
        assert accounts.find(session, "ANN@example.org").name == "ann@example.org"
    with pytest.raises(Conflict, match="one with this name"):
        add(engine, "ann@example.org")
    with reading(engine) as session, pytest.raises(NotFound, match="bob"):
        accounts.find(session, "bob")


def test_people_have_passwords_and_services_do_not(engine: Engine) -> None:
    with pytest.raises(InvalidValue), transaction(engine) as session:
        accounts.add(session, name="p", role=Role.VIEWER, password_hash=None, actor="test")
    with pytest.raises(InvalidValue), transaction(engine) as session:
        accounts.add(session, name="s", role=Role.SERVICE, password_hash=HASH, actor="test")
    service = add(engine, "s", Role.SERVICE)
    with pytest.raises(InvalidValue), transaction(engine) as session:
        accounts.set_password(session, service, "hash", actor="test")
    with pytest.raises(InvalidValue), transaction(engine) as session:
        accounts.set_role(session, service, Role.ADMIN, actor="test")


def test_the_first_admin_is_made_once(engine: Engine) -> None:
    with transaction(engine) as session:
        assert accounts.add_first_admin(session)
    with transaction(engine) as session:
        assert accounts.add_first_admin(session) is None
        (admin,) = accounts.listed(session)
    assert (admin.name, admin.role, admin.must_change) == ("admin", Role.ADMIN, True)


def test_an_admin_always_remains(engine: Engine) -> None:
    first, second = add(engine, "a", Role.ADMIN), add(engine, "b", Role.ADMIN)

    def disable(account_id: int) -> bool:
        try:
            with transaction(engine) as session:
                accounts.set_active(session, account_id, active=False, actor="test")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:  # each disables the other
        assert sorted(pool.map(disable, (first, second))) == [False, True]
    with reading(engine) as session:
        (left,) = [account for account in accounts.listed(session) if account.active]
    with pytest.raises(Conflict, match="last active admin"), transaction(engine) as session:
        accounts.set_role(session, left.id, Role.VIEWER, actor="test")


def test_disabling_ends_sessions_and_tokens(engine: Engine) -> None:
    account = add(engine, "a")
    with transaction(engine) as session:
        cookie = sessions.start(session, account, hours=1)
        _, token = tokens.create(
            session, account, name="t", scopes=[Scope.READ, Scope.READ], days=1, actor="test"
        )
    with reading(engine) as session:
        assert sessions.find(session, cookie, idle_minutes=5) is not None
        bearer = tokens.find(session, token)
    assert bearer is not None
    assert bearer.scopes == {Scope.READ}
    with transaction(engine) as session:
        accounts.set_active(session, account, active=False, actor="test")
    with transaction(engine) as session:
        assert accounts.password_hash(session, "a") is None
        accounts.set_active(session, account, active=True, actor="test")
    with reading(engine) as session:
        assert sessions.find(session, cookie, idle_minutes=5) is None
        assert tokens.find(session, token) is None


def test_sessions_end_by_age_by_idleness_and_by_a_new_password(engine: Engine) -> None:
    account = add(engine, "a")
    now = utc_now()
    with transaction(engine) as session:
        cookie = sessions.start(session, account, hours=2, now=now)
        assert session.scalar(select(func.count()).where(LoginSession.id == cookie)) == 0  # only its hash
    with transaction(engine) as session:
        minute, hour = timedelta(minutes=1), timedelta(hours=1)
        found = sessions.find(session, cookie, idle_minutes=30, now=now + 29 * minute)
        assert found is not None
        assert found.stale
        assert sessions.find(session, cookie, idle_minutes=30, now=now + 30 * minute) is None
        sessions.touch(session, found.session_id, now=now + 2 * hour - minute)
        found = sessions.find(session, cookie, idle_minutes=30, now=now + 2 * hour - minute / 2)
        assert found is not None
        assert not found.stale
        assert sessions.find(session, cookie, idle_minutes=30, now=now + 2 * hour) is None
        accounts.set_password(session, account, "other", actor="test")
        assert sessions.find(session, cookie, idle_minutes=30, now=now) is None
        sessions.start(session, account, hours=1, now=now - 2 * hour)
        sessions.sweep(session, now=now)
        assert session.scalar(select(func.count()).select_from(LoginSession)) == 0


def test_tokens_end_and_are_revoked_by_their_owner(engine: Engine) -> None:
    owner, other = add(engine, "a"), add(engine, "b")
    now = utc_now()
    with transaction(engine) as session:
        view, token = tokens.create(
            session, owner, name="t", scopes=[Scope.READ], days=2, actor="test", now=now
        )
    with transaction(engine) as session:
        assert session.scalar(select(func.count()).where(ApiToken.token_sha256 == token)) == 0
        found = tokens.find(session, token, now=now)
        assert found is not None
        assert found.stale
        tokens.touch(session, found.token_id, now=now)
        found = tokens.find(session, token, now=now)
        assert found is not None
        assert not found.stale
        assert tokens.find(session, token, now=now + timedelta(days=2)) is None
        assert tokens.find(session, token + "x", now=now) is None
        with pytest.raises(NotFound):
            tokens.revoke(session, view.id, actor="b", account_id=other)
        assert tokens.revoke(session, view.id, actor="a", account_id=owner).revoked_at is not None
        assert tokens.find(session, token, now=now) is None
        assert [each.active for each in tokens.listed(session, account_id=owner)] == [False]
        assert tokens.listed(session, account_id=other) == []


def test_a_token_that_cannot_be_is_refused(engine: Engine) -> None:
    account = add(engine, "a")
    for fields in (
        {"name": ""},
        {"name": "a\x00"},
        {"scopes": []},
        {"days": 0},
        {"days": 1e9},
        {"days": float("nan")},
    ):
        wanted: dict[str, Any] = {"name": "t", "scopes": [Scope.READ], "days": 1, "actor": "test"} | fields
        (complaint,) = fields
        with pytest.raises(InvalidValue, match=complaint), transaction(engine) as session:
            tokens.create(session, account, **wanted)


def attempt(engine: Engine, name: str, address: str, *, right: bool = False, minute: float = 0) -> bool:
    """Whether the try was let through to the password."""
    try:
        with transaction(engine) as session:
            now = START + timedelta(minutes=minute)
            number = sign_ins.begin(session, name=name, address=address, limits=LIMITS, now=now)
            if right:
                sign_ins.succeed(session, number)
    except TooManySignIns as error:
        assert error.fields["seconds"] >= 1
        return False
    return True


START = utc_now()


def test_failures_under_one_name_are_limited_wherever_they_come_from(engine: Engine) -> None:
    assert [attempt(engine, "a", f"10.0.0.{number}") for number in range(5)] == [True] * 3 + [False] * 2
    assert attempt(engine, "b", "10.0.0.1")
    assert not attempt(engine, "a", "10.0.0.9", minute=14.9)
    assert attempt(engine, "a", "10.0.0.9", minute=15.1)


def test_failures_from_one_address_are_limited_whatever_the_name(engine: Engine) -> None:
    assert [attempt(engine, f"n{number}", "10.0.0.1") for number in range(7)] == [True] * 5 + [False] * 2
    assert attempt(engine, "n1", "10.0.0.2")


def test_a_success_frees_the_name_and_strangers_cannot_lock_it(engine: Engine) -> None:
    for minute in (0, 1):
        assert attempt(engine, "a", "10.0.0.1", minute=minute)
    assert attempt(engine, "a", "10.0.0.1", right=True, minute=2)
    for number in range(9):  # a stranger tries until the name is locked for strangers
        attempt(engine, "a", f"10.6.6.{number}", minute=3)
    assert not attempt(engine, "a", "10.6.7.1", minute=4)
    assert [attempt(engine, "a", "10.0.0.1", minute=4) for _ in range(4)] == [True] * 3 + [False]


def test_tries_at_once_do_not_slip_under_the_limit(engine: Engine) -> None:
    with ThreadPoolExecutor(8) as pool:
        let = list(pool.map(lambda _: attempt(engine, "a", "10.0.0.1"), range(16)))
    assert sum(let) == 3


def test_old_tries_are_forgotten(engine: Engine) -> None:
    attempt(engine, "a", "10.0.0.1")
    attempt(engine, "a", "10.0.0.1", minute=24 * 60 + 1)
    with reading(engine) as session:
        assert session.scalar(select(func.count()).select_from(SignInAttempt)) == 1
