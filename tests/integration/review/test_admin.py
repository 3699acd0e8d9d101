"""Accounts, tokens and the audit log, as pages and as JSON."""

import json
import re
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from core.roles import Role
from tests.integration.review.house import House, Visit, alert, csrf_token


@pytest.fixture
def admin(house: House) -> Visit:
    return house.visit(house.account("boss", Role.ADMIN), confirmed=True)


@pytest.fixture
def client(house: House, admin: Visit) -> Iterator[TestClient]:
    with house.browser() as made:
        made.cookies.set("facewarden_session", admin.cookie, domain="testserver.local", path="/")
        made.headers["X-CSRF-Token"] = admin.csrf_token
        yield made


def test_a_new_account_signs_in_with_its_one_time_password(house: House, client: TestClient) -> None:
    made = client.post("/admin/accounts", data={"name": "Ann", "role": "reviewer"})
    assert made.status_code == 200
    (password,) = re.findall(r"<code>([^<]+)</code>", made.text)
    assert password not in client.get("/admin/accounts").text
    with house.browser() as browser:
        form = {"name": "ann", "password": password}
        form["csrf_token"] = csrf_token(browser.get("/sign-in").text)
        assert browser.post("/sign-in", data=form).headers["Location"] == "/account"
    again = client.post("/admin/accounts", data={"name": "ann", "role": "viewer"})
    assert (again.status_code, alert(again.text)) == (409, "account ann: there is one with this name.")


def test_an_account_is_changed_on_the_page(house: House, client: TestClient) -> None:
    ann = house.account("ann")
    visit = house.visit(ann)
    assert client.post(f"/admin/accounts/{ann}/role", data={"role": "viewer"}).status_code == 303
    with house.browser() as browser:  # in force at once, in the session that is open
        me = browser.get("/v1/me", headers=visit.headers).json()
        assert (me["role"], me["permissions"]) == ("viewer", ["view"])
        assert client.post(f"/admin/accounts/{ann}/active", data={"active": "false"}).status_code == 303
        assert browser.get("/v1/me", headers=visit.headers).status_code == 401
    assert client.post(f"/admin/accounts/{ann}/active", data={"active": "true"}).status_code == 303
    reset = client.post(f"/admin/accounts/{ann}/password")
    assert "one-time password of ann" in reset.text


def test_the_last_admin_stays(house: House, client: TestClient) -> None:
    boss = house.account("boss")
    answer = client.post(f"/admin/accounts/{boss}/active", data={"active": "false"})
    assert (answer.status_code, alert(answer.text)) == (409, "account boss: it is the last active admin.")
    answer = client.patch(f"/v1/accounts/{boss}", json={"role": "viewer"})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_tokens_on_the_page(house: House, client: TestClient) -> None:
    service = house.account("ci", Role.SERVICE)
    form = {"account_id": str(service), "name": "upload", "scopes": ["upload"], "days": "7"}
    made = client.post("/admin/tokens", data=form)
    (token,) = re.findall(r"fw_[\w-]+", made.text)
    bearer = {"Authorization": f"Bearer {token}"}
    with house.browser() as machine:
        assert machine.get("/v1/me", headers=bearer).json()["permissions"] == ["upload"]
        (number,) = re.findall(r"/admin/tokens/(\d+)/revoke", client.get("/admin/tokens").text)
        assert client.post(f"/admin/tokens/{number}/revoke").status_code == 303
        assert machine.get("/v1/me", headers=bearer).status_code == 401
    assert client.post("/admin/tokens", data=form | {"days": "0"}).status_code == 422
    assert client.post("/admin/tokens", data=form | {"account_id": "99"}).status_code == 404


def test_accounts_and_tokens_as_json(house: House, admin: Visit) -> None:
    with house.browser() as client:
        client.headers.update(admin.headers)
        made = client.post("/v1/accounts", json={"name": "ann", "role": "reviewer"})
        assert made.status_code == 201
        ann = made.json()
        assert ann["one_time_password"]
        assert ann["must_change"]
        assert "one_time_password" not in client.get("/v1/accounts").json()[0]
        changed = client.patch(f"/v1/accounts/{ann['id']}", json={"role": "viewer", "active": True}).json()
        assert (changed["role"], changed["active"]) == ("viewer", True)
        reset = client.post(f"/v1/accounts/{ann['id']}/password").json()
        assert reset["one_time_password"] != ann["one_time_password"]
        token = client.post(
            "/v1/tokens", json={"account_id": ann["id"], "name": "t", "scopes": ["read"], "days": 1}
        ).json()
        assert token["token"].startswith("fw_")
        listed = client.get("/v1/tokens").json()
        assert [each["name"] for each in listed] == ["t"]
        assert all("token" not in each and "token_sha256" not in each for each in listed)
        assert client.delete(f"/v1/tokens/{token['id']}").json()["revoked_at"]
        unknown = client.patch("/v1/accounts/999", json={"active": False})
        assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
        wrong = client.post("/v1/accounts", json={"name": "x", "role": "king", "extra": 1})
        assert wrong.status_code == 422
        problem = wrong.json()
        assert problem["code"] == "invalid_request"
        assert {tuple(fault["at"]) for fault in problem["errors"]} == {("body", "role"), ("body", "extra")}


def test_the_log_is_read_page_by_page_and_checked(house: House, client: TestClient) -> None:
    for number in range(105):
        house.account(f"n{number}")
    first = client.get("/admin/audit").text
    assert "n104" in first
    assert "n3<" not in first
    (older,) = re.findall(r'href="(/admin/audit\?before=[^"]+)"', first)
    assert "n3<" in client.get(older.replace("&amp;", "&")).text
    filtered = client.get("/admin/audit?actor=nobody%00&action=account.added")
    assert filtered.status_code == 200
    assert "Nothing matches" in filtered.text
    page = client.get("/v1/audit?limit=2&action=account.added").json()
    assert [event["subject"] for event in page["events"]] == ["n104", "n103"]
    rest = client.get(f"/v1/audit?limit=1000&before={page['next_before']}").json()
    assert rest["events"][0]["subject"] == "n102"
    assert rest["next_before"] is None

    found = client.get("/v1/audit/verification").json()
    assert found["sound"]
    assert "intact" in client.post("/admin/audit/verify").text
    assert 'href="/v1/audit/export"' in first
    answer = client.get("/v1/audit/export?since=2026-01-01")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="facewarden-audit.jsonl"'
    events = [json.loads(line) for line in answer.text.splitlines()]
    assert [event["id"] for event in events] == list(range(1, found["events"] + 2))
    assert events[-2]["hash"] == events[-1]["previous_hash"] == found["head"]
    assert client.get("/v1/audit/export?format=csv").text.startswith("id,at,actor,action,subject,detail,")
    assert client.get("/v1/audit/export?since=yesterday").status_code == 422
    with house.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER audit_event_no_update"))
        connection.execute(text("UPDATE audit_event SET subject = 'x' WHERE id = 50"))
    assert client.get("/v1/audit/verification").json()["broken_at"] == 50
    assert "broken at event 50" in client.post("/admin/audit/verify").text
    lost = client.get(f"/v1/audit/verification?expected={found['head']}").json()
    assert (lost["sound"], lost["expected_found"]) == (False, False)
