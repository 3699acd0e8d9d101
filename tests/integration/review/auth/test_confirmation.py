"""Who may decide on who gets in: a person who has just given the password once more, and nobody's token."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from core.roles import Role, Scope
from review.auth.cookies import SESSION
from storage.engine import reading, transaction
from storage.people import tokens
from storage.tables import ApiToken, LoginSession, utc_now
from tests.integration.review.house import PASSWORD, House, Visit, alert, csrf_token


@pytest.fixture
def client(house: House) -> Iterator[TestClient]:
    with house.browser() as made:
        yield made


def use(client: TestClient, visit: Visit) -> Visit:
    client.cookies.set(SESSION, visit.cookie, domain="testserver.local", path="/")
    return visit


def promote(client: TestClient, visit: Visit, account_id: int, role: str = "admin") -> Any:
    return client.patch(
        f"/v1/accounts/{account_id}", json={"role": role}, headers={"X-CSRF-Token": visit.csrf_token}
    )


def test_the_page_asks_for_the_password_and_leads_back(house: House, client: TestClient) -> None:
    ann = house.account("ann")
    visit = use(client, house.visit(house.account("boss", Role.ADMIN)))
    form = {"role": "viewer", "csrf_token": visit.csrf_token}
    asked = client.post(f"/admin/accounts/{ann}/role", data=form)
    assert (asked.status_code, asked.headers["Location"]) == (303, "/confirm?next=%2Fadmin%2Faccounts")
    page = client.get(asked.headers["Location"]).text
    given = {"csrf_token": csrf_token(page), "next": "/admin/accounts", "password": "guess"}
    wrong = client.post("/confirm", data=given)
    assert wrong.status_code == 401
    assert alert(wrong.text) == "This is not the password of boss. Try again."
    assert client.post(f"/admin/accounts/{ann}/role", data=form).headers["Location"].startswith("/confirm")
    right = client.post("/confirm", data=given | {"password": PASSWORD})
    assert (right.status_code, right.headers["Location"]) == (303, "/admin/accounts")
    assert "enter your password again" not in client.get("/admin/accounts").text
    # The forms of other tabs stay good.
    assert client.post(f"/admin/accounts/{ann}/role", data=form).headers["Location"] == "/admin/accounts"
    assert client.get("/v1/accounts").json()[0]["role"] == "viewer"


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:1"]
)
def test_the_way_back_stays_here(house: House, client: TestClient, wanted: str) -> None:
    visit = use(client, house.visit(house.account("boss", Role.ADMIN)))
    form = {"password": PASSWORD, "next": wanted, "csrf_token": visit.csrf_token}
    assert client.post("/confirm", data=form).headers["Location"] == "/queue"


def test_the_api_names_the_remedy_and_takes_it(house: House, client: TestClient) -> None:
    ann = house.account("ann")
    visit = use(client, house.visit(house.account("boss", Role.ADMIN)))
    refused = promote(client, visit, ann)
    assert (refused.status_code, refused.json()["code"]) == (403, "password_needed")
    assert "/v1/confirmation" in refused.json()["detail"]
    headers = {"X-CSRF-Token": visit.csrf_token}
    assert client.post("/v1/confirmation", json={"password": PASSWORD}).json()["code"] == "forged_request"
    wrong = client.post("/v1/confirmation", json={"password": "guess"}, headers=headers)
    assert (wrong.status_code, wrong.json()["code"]) == (401, "sign_in_failed")
    assert client.post("/v1/confirmation", json={"password": PASSWORD}, headers=headers).status_code == 204
    assert promote(client, visit, ann).json()["role"] == "admin"


def test_the_old_cookie_is_worth_nothing_after_it(house: House, client: TestClient) -> None:
    """Whoever stole or planted the cookie is not let in with its owner."""
    stolen = use(client, house.visit(house.account("boss", Role.ADMIN)))
    headers = {"X-CSRF-Token": stolen.csrf_token}
    answer = client.post("/v1/confirmation", json={"password": PASSWORD}, headers=headers)
    assert client.cookies[SESSION] != stolen.cookie
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    with house.browser() as thief:
        assert thief.get("/v1/me", headers=stolen.headers).status_code == 401


def test_it_is_over_after_the_minutes_at_sign_out_and_with_a_new_password(
    house: House, client: TestClient
) -> None:
    ann, boss = house.account("ann"), house.account("boss", Role.ADMIN)
    visit = use(client, house.visit(boss, confirmed=True))
    assert promote(client, visit, ann).status_code == 200
    # Another session of the same account has not given it.
    other = house.visit(boss)
    with house.browser() as browser:
        use(browser, other)
        assert promote(browser, other, ann, "viewer").json()["code"] == "password_needed"
    minutes = house.app.state.settings.review.confirm_minutes
    with transaction(house.engine) as session:
        session.execute(update(LoginSession).values(confirmed_at=utc_now() - timedelta(minutes=minutes)))
    assert promote(client, visit, ann, "viewer").json()["code"] == "password_needed"

    visit = use(client, house.visit(boss, confirmed=True))
    new = "kettle violin march otter"
    form = {"current": PASSWORD, "new": new, "again": new, "csrf_token": visit.csrf_token}
    assert client.post("/account/password", data=form).status_code == 303
    renewed = Visit(cookie=client.cookies[SESSION], csrf_token=csrf_token(client.get("/account").text))
    assert promote(client, renewed, ann, "viewer").json()["code"] == "password_needed"

    visit = use(client, house.visit(boss, confirmed=True))
    assert client.post("/sign-out", data={"csrf_token": visit.csrf_token}).status_code == 303
    with house.browser() as browser:
        use(browser, visit)
        assert promote(browser, visit, ann, "viewer").status_code == 401


def test_a_sign_in_alone_is_not_enough(house: House, client: TestClient) -> None:
    house.account("boss", Role.ADMIN)
    ann = house.account("ann")
    form = {"name": "boss", "password": PASSWORD, "csrf_token": csrf_token(client.get("/sign-in").text)}
    assert client.post("/sign-in", data=form).status_code == 303
    visit = Visit(cookie="", csrf_token=csrf_token(client.get("/account").text))
    assert promote(client, visit, ann).json()["code"] == "password_needed"


def test_guesses_are_limited(house: House, client: TestClient) -> None:
    visit = use(client, house.visit(house.account("boss", Role.ADMIN)))
    limit = house.app.state.settings.review.sign_in_failures_per_name
    headers = {"X-CSRF-Token": visit.csrf_token}
    answers = [
        client.post("/v1/confirmation", json={"password": f"guess {number}"}, headers=headers)
        for number in range(limit + 1)
    ]
    assert [answer.status_code for answer in answers] == [401] * limit + [429]
    assert int(answers[-1].headers["Retry-After"]) > 0


def test_an_admins_token_changes_no_account(house: House, client: TestClient) -> None:
    boss, ann = house.account("boss", Role.ADMIN), house.account("ann")
    for owner in (boss, house.account("robot", Role.SERVICE)):
        bearer = house.bearer(owner, Scope)
        for method, path, body in (
            ("POST", f"/v1/accounts/{boss}/password", None),
            ("PATCH", f"/v1/accounts/{ann}", {"role": "admin"}),
            ("PATCH", f"/v1/accounts/{boss}", {"active": False}),
            ("POST", "/v1/accounts", {"name": "mine", "role": "admin"}),
            ("POST", "/v1/confirmation", {"password": PASSWORD}),
        ):
            answer = client.request(method, path, json=body, headers=bearer)
            assert (answer.status_code, answer.json()["code"]) == (403, "session_only"), (method, path)
        for path in (
            f"/admin/accounts/{boss}/password",
            "/admin/accounts",
            "/admin/tokens",
            "/account/tokens",
        ):
            assert client.post(path, data={"role": "admin", "name": "x"}, headers=bearer).status_code == 403
        assert len(client.get("/v1/accounts", headers=bearer).json()) in {2, 3}


def test_a_token_makes_no_token_beyond_itself(house: House, client: TestClient) -> None:
    robot, ann = house.account("robot", Role.SERVICE), house.account("ann")
    bearer = house.bearer(robot, [Scope.ADMIN, Scope.READ])

    def make(account: int, scopes: list[str], days: float = 300) -> Any:
        body = {"account_id": account, "name": "child", "scopes": scopes, "days": days}
        return client.post("/v1/tokens", json=body, headers=bearer)

    for account, scopes in ((robot, ["read", "decide"]), (robot, [*Scope]), (ann, ["read"])):
        answer = make(account, scopes)
        assert (answer.status_code, answer.json()["code"]) == (403, "token_too_weak"), answer.text
        assert "facewarden token create" in answer.json()["detail"]
    child = make(robot, ["read", "admin"])
    assert child.status_code == 201
    with reading(house.engine) as session:
        parent = tokens.listed(session)[-1]
    assert child.json()["expires_at"] == parent.expires_at.isoformat().replace("+00:00", "Z")
    grandchild = client.post(
        "/v1/tokens",
        json={"account_id": robot, "name": "grandchild", "scopes": ["read"], "days": 1},
        headers={"Authorization": f"Bearer {child.json()['token']}"},
    )
    family = [bearer] + [{"Authorization": f"Bearer {made.json()['token']}"} for made in (child, grandchild)]
    assert [client.get("/v1/me", headers=each).status_code for each in family] == [200] * 3
    # They end with the one that made them: a thief's does not outlive the one that was stolen.
    admin = house.visit(house.account("boss", Role.ADMIN))
    assert client.delete(f"/v1/tokens/{parent.id}", headers=admin.headers).status_code == 200
    assert [client.get("/v1/me", headers=each).status_code for each in family] == [401] * 3


def test_no_token_sleeps_until_its_owner_rises(house: House, client: TestClient) -> None:
    visit = use(client, house.visit(house.account("boss", Role.ADMIN), confirmed=True))
    viewer = house.account("vic", Role.VIEWER)
    body = {"account_id": viewer, "name": "t", "scopes": ["read", "admin"], "days": 1}
    refused = client.post("/v1/tokens", json=body, headers={"X-CSRF-Token": visit.csrf_token})
    assert refused.status_code == 422
    assert "the role viewer of vic has no right to admin" in refused.json()["detail"]
    # One of an earlier release is cut to what it was good for when its owner rises.
    bearer = house.bearer(viewer, Scope)
    assert promote(client, visit, viewer).status_code == 200
    client.cookies.clear()
    assert client.get("/v1/me", headers=bearer).json()["permissions"] == ["view"]
    with reading(house.engine) as session:
        assert [row.scopes for row in session.query(ApiToken)] == [["read"]]
