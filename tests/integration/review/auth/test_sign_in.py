"""Signing in and out, as browsers and guessers do it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from core import passwords
from core.roles import Role
from core.settings import ReviewSettings
from review.auth.sign_in import local
from storage import audit
from storage.engine import reading, transaction
from storage.people import accounts, failures
from storage.tables import Account, LoginSession, SignInAttempt, utc_now
from tests.integration.review.house import PASSWORD, House, alert, csrf_token, open_house

WRONG = "incorrect horse battery"


def sign_in(client: TestClient, name: str = "ann", password: str = PASSWORD, **fields: str) -> object:
    form = client.get("/sign-in").text
    data = {"name": name, "password": password, "csrf_token": csrf_token(form)} | fields
    return client.post("/sign-in", data=data)


@pytest.fixture
def client(house: House) -> Iterator[TestClient]:
    house.account("ann")
    with house.browser() as made:
        yield made


def sessions(house: House) -> int:
    with reading(house.engine) as session:
        return session.scalar(select(func.count()).select_from(LoginSession)) or 0


def test_a_session_begins_and_ends(house: House, client: TestClient) -> None:
    answer = sign_in(client, " ANN ", next="/queue?verdict=fake")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/queue?verdict=fake")
    (cookie,) = [each for each in answer.headers.get_list("Set-Cookie") if "session" in each]
    assert {"HttpOnly", "Path=/", "SameSite=strict", "Max-Age=43200"} <= set(cookie.split("; "))
    assert "Secure" not in cookie  # over plain HTTP the browser would not send it back
    me = client.get("/v1/me").json()
    assert (me["name"], me["role"], me["via"]) == ("ann", "reviewer", "session")
    assert client.get("/sign-in").headers["Location"] == "/queue"
    token = csrf_token(client.get("/account").text)
    assert client.post("/sign-out", data={"csrf_token": token}).headers["Location"] == "/sign-in"
    assert client.get("/v1/me").status_code == 401
    assert sessions(house) == 0
    with reading(house.engine) as session:
        actions = [event.action for event in audit.page(session, actor="ann")]
        assert audit.verify(session).sound
    assert actions == ["account.signed_out", "account.signed_in"]


def test_over_https_cookies_are_bound_to_the_host(house: House) -> None:
    house.account("ann")
    with house.browser(scheme="https") as client:
        answer = sign_in(client)
        for cookie in answer.headers.get_list("Set-Cookie"):
            assert cookie.startswith("__Host-facewarden_")
            assert {"Secure", "HttpOnly", "Path=/"} <= set(cookie.split("; "))
            assert "Domain" not in cookie
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert client.get("/v1/me").status_code == 200


def test_behind_a_proxy_with_https_the_setting_says_so(tmp_path: Path) -> None:
    with open_house(tmp_path, ReviewSettings(https=True)) as house, house.browser() as client:
        answer = client.get("/sign-in")
        assert "Secure" in answer.headers["Set-Cookie"]
        assert "Strict-Transport-Security" in answer.headers


def test_a_session_planted_before_is_not_taken_over(house: House, client: TestClient) -> None:
    """Session fixation: whoever knows the cookie of before knows nothing afterwards."""
    planted = house.visit(house.account("mallory"))
    client.cookies.set("facewarden_session", planted.cookie, domain="testserver.local", path="/")
    assert client.get("/v1/me").json()["name"] == "mallory"
    data = {"name": "ann", "password": PASSWORD, "csrf_token": "door"}
    client.cookies.set("facewarden_login_csrf", "door", domain="testserver.local", path="/")
    assert client.post("/sign-in", data=data).status_code == 303
    assert client.cookies["facewarden_session"] != planted.cookie
    assert client.get("/v1/me").json()["name"] == "ann"
    assert sessions(house) == 1  # the planted one has ended


@pytest.mark.parametrize(
    ("name", "password"),
    [("ann", WRONG), ("nobody", PASSWORD), ("ann", ""), ("", ""), ("gone", PASSWORD), ("ci", "")],
)
def test_a_failure_says_only_that_it_failed(
    house: House, client: TestClient, name: str, password: str
) -> None:
    house.account("ci", Role.SERVICE)
    gone = house.account("gone")
    with transaction(house.engine) as session:
        accounts.set_active(session, gone, active=False, actor="test")
    answer = sign_in(client, name, password)
    assert answer.status_code == 401
    assert alert(answer.text) == "The name or the password is wrong, or the account is disabled."
    assert "facewarden_session" not in client.cookies
    assert sessions(house) == 0


def test_every_failure_costs_the_same_work(
    house: House, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str | None] = []

    def check(password: str, stored: str | None) -> bool:
        checked.append(stored)
        return False

    monkeypatch.setattr(passwords, "check_password", check)
    sign_in(client, "ann", WRONG)
    sign_in(client, "nobody", WRONG)
    assert [stored is None for stored in checked] == [False, True]  # unknown names are checked as well


def test_guessing_is_limited_before_any_password_is_looked_at(tmp_path: Path) -> None:
    review = ReviewSettings(sign_in_failures_per_name=2, sign_in_window_minutes=5)
    with open_house(tmp_path, review) as house, house.browser() as client:
        house.account("ann")
        assert [sign_in(client, "ann", WRONG).status_code for _ in range(2)] == [401, 401]
        answer = sign_in(client, "ann", PASSWORD)
        assert answer.status_code == 429
        assert 290 <= int(answer.headers["Retry-After"]) <= 300
        assert alert(answer.text).startswith("Too many sign-ins. Try again in ")
        assert sign_in(client, "bob", WRONG).status_code == 401  # another name may still try
        failures.tell(house.engine, now=utc_now() + timedelta(minutes=2))
        with reading(house.engine) as session:
            events = audit.page(session, action="account.sign_in_failed")
        told = {(each.subject, each.detail["reason"], each.detail["failures"]) for each in events}
        assert told == {
            ("ann", "wrong_password", 2),
            ("ann", "too_many", 1),
            ("(unknown)", "unknown_name", 1),
        }
        assert WRONG not in str(events)


def test_a_form_of_another_site_signs_nobody_in(house: House, client: TestClient) -> None:
    """Login CSRF: nobody can be made to work in the attacker's account."""
    right = {"name": "ann", "password": PASSWORD}
    assert client.post("/sign-in", data=right).status_code == 403
    form = client.get("/sign-in").text
    assert client.post("/sign-in", data=right | {"csrf_token": "made up"}).status_code == 403
    token = csrf_token(form)
    from_elsewhere = client.post(
        "/sign-in", data=right | {"csrf_token": token}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert from_elsewhere.status_code == 403
    assert csrf_token(client.get("/sign-in").text) == token  # one for all tabs
    assert sessions(house) == 0
    with reading(house.engine) as session:
        assert session.scalar(select(func.count()).select_from(SignInAttempt)) == 0


def test_hashes_of_older_parameters_are_renewed(house: House, client: TestClient) -> None:
    def stored() -> str:
        with reading(house.engine) as session:
            return session.scalars(select(Account.password_hash).where(Account.name == "ann")).one() or ""

    assert passwords.outdated(stored())
    assert sign_in(client).status_code == 303
    assert not passwords.outdated(stored())
    assert client.get("/v1/me").status_code == 200


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "queue",
        "",
        "/%0d\r\nx",
    ],
)
def test_no_link_leads_elsewhere(wanted: str) -> None:
    assert local(wanted) == "/queue"


def test_the_page_that_was_asked_for_comes_after_the_sign_in(client: TestClient) -> None:
    answer = client.get("/queue?verdict=fake&sort=score")
    assert answer.headers["Location"] == "/sign-in?next=%2Fqueue%3Fverdict%3Dfake%26sort%3Dscore"
    assert 'value="/queue?verdict=fake&amp;sort=score"' in client.get(answer.headers["Location"]).text
    part = client.get("/queue", headers={"HX-Request": "true"})
    assert (part.status_code, part.headers["HX-Redirect"]) == (401, "/sign-in?next=%2Fqueue")


@pytest.mark.parametrize("name", ["a\x00b", "a\nb", "😀" * 300, "x" * 999])
def test_odd_names_are_only_wrong(client: TestClient, name: str) -> None:
    assert sign_in(client, name, WRONG).status_code == 401


def test_long_fields_are_refused_unread(client: TestClient) -> None:
    assert sign_in(client, "ann", "x" * 1001).status_code == 422
    answer = sign_in(client, "ann", "x" * 2_000_000)
    assert answer.status_code == 413
