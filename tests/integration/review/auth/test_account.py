"""One's own account."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from core.roles import Role, Scope
from tests.integration.review.house import PASSWORD, House, Visit, alert, csrf_token

NEW = "a much better password"


@pytest.fixture
def client(house: House) -> Iterator[TestClient]:
    with house.browser() as made:
        yield made


def signed_in(house: House, client: TestClient, name: str = "ann", **options: Any) -> Visit:
    visit = house.visit(house.account(name, **options), confirmed=True)
    client.cookies.set("facewarden_session", visit.cookie, domain="testserver.local", path="/")
    return visit


def change(client: TestClient, visit: Visit, **fields: str) -> Any:
    data = {"current": PASSWORD, "new": NEW, "again": NEW, "csrf_token": visit.csrf_token} | fields
    return client.post("/account/password", data=data)


def test_a_new_password_ends_all_other_sessions_and_renews_this_one(house: House, client: TestClient) -> None:
    visit = signed_in(house, client)
    other = house.visit(house.account("ann"))
    answer = change(client, visit)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/account?done=password")
    assert client.cookies["facewarden_session"] not in {visit.cookie, other.cookie}
    page = client.get("/account?done=password").text
    assert "Your password has been changed" in page
    assert csrf_token(page) != visit.csrf_token
    client.cookies.clear()
    for ended in (visit, other):
        assert client.get("/v1/me", headers=ended.headers).status_code == 401
    form = {"name": "ann", "password": NEW, "csrf_token": csrf_token(client.get("/sign-in").text)}
    assert client.post("/sign-in", data=form).status_code == 303


def test_a_one_time_password_must_be_changed_first(house: House, client: TestClient) -> None:
    visit = signed_in(house, client, must_change=True)
    assert client.get("/queue").headers["Location"] == "/account"
    assert client.get("/v1/videos").json()["code"] == "password_must_change"
    assert "one-time password" in client.get("/account").text
    assert change(client, visit).status_code == 303
    assert client.get("/queue").status_code == 200


@pytest.mark.parametrize(
    ("fields", "status", "complaint"),
    [
        ({"current": "something else"}, 401, "password is wrong"),
        ({"again": "another one entirely"}, 422, "the two new passwords differ"),
        ({"new": PASSWORD, "again": PASSWORD}, 422, "the new password is the same as the old one"),
        ({"new": "short", "again": "short"}, 422, "it needs 12 characters"),
        ({"new": "password1234", "again": "password1234"}, 422, "a very common password). Use four or five"),
    ],
)
def test_a_password_that_cannot_be_is_explained(
    house: House, client: TestClient, fields: dict[str, str], status: int, complaint: str
) -> None:
    answer = change(client, signed_in(house, client), **fields)
    assert answer.status_code == status
    assert complaint in alert(answer.text)
    assert client.get("/v1/me").status_code == 200  # still signed in, with the old one


def test_guessing_at_an_open_browser_is_limited_too(house: House, client: TestClient) -> None:
    visit = signed_in(house, client)
    limit = house.app.state.settings.review.sign_in_failures_per_name
    statuses = [change(client, visit, current=f"guess {number}").status_code for number in range(limit + 1)]
    assert statuses == [401] * limit + [429]


def test_blind_mode_is_switched(house: House, client: TestClient) -> None:
    visit = signed_in(house, client)
    for wanted in (True, False):
        data = {"blind": str(wanted).lower(), "csrf_token": visit.csrf_token}
        assert client.post("/account/blind", data=data).status_code == 303
        assert client.get("/v1/me").json()["blind"] is wanted


def make_token(client: TestClient, visit: Visit, *scopes: Scope, days: str = "3") -> Any:
    data = {"name": "laptop", "scopes": list(scopes), "days": days, "csrf_token": visit.csrf_token}
    return client.post("/account/tokens", data=data)


def test_a_token_of_ones_own_is_shown_once_and_revoked(house: House, client: TestClient) -> None:
    visit = signed_in(house, client)
    page = make_token(client, visit, Scope.READ, Scope.DECIDE)
    assert page.headers["Cache-Control"] == "no-store"
    (token,) = re.findall(r"fw_[\w-]+", page.text)
    assert token not in client.get("/account").text
    bearer = {"Authorization": f"Bearer {token}"}
    assert client.get("/v1/me", headers=bearer).json()["permissions"] == ["decide", "view"]
    (number,) = re.findall(r"/account/tokens/(\d+)/revoke", client.get("/account").text)
    stranger = house.visit(house.account("bob"))
    revoke = f"/account/tokens/{number}/revoke"
    data = {"csrf_token": stranger.csrf_token}
    assert client.post(revoke, data=data, headers=stranger.headers).status_code in {403, 404}
    assert client.get("/v1/me", headers=bearer).status_code == 200
    assert client.post(revoke, data={"csrf_token": visit.csrf_token}).status_code == 303
    assert client.get("/v1/me", headers=bearer).status_code == 401


def test_a_token_gives_no_more_than_its_owner_has(house: House, client: TestClient) -> None:
    visit = signed_in(house, client, role=Role.VIEWER)
    answer = make_token(client, visit, Scope.READ, Scope.ADMIN)
    assert answer.status_code == 422
    assert "the role viewer of ann has no right to admin" in alert(answer.text)
    assert "fw_" not in answer.text


@pytest.mark.parametrize(("scopes", "days"), [([], "3"), ([Scope.READ], "0"), ([Scope.READ], "inf")])
def test_a_token_that_cannot_be_is_explained(
    house: House, client: TestClient, scopes: list[Scope], days: str
) -> None:
    answer = make_token(client, signed_in(house, client), *scopes, days=days)
    assert answer.status_code == 422
    assert alert(answer.text)
