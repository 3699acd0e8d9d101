"""Signing in by an OpenID Connect provider: a real one on loopback, which does all that one can do wrong."""

import base64
import json
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from core.errors import Conflict, InvalidValue
from core.roles import Role, Scope
from core.settings import OidcSettings, ReviewSettings
from storage import audit
from storage.engine import reading, transaction
from storage.people import accounts, failures
from storage.tables import Account, utc_now
from tests.integration.review.house import PASSWORD, House, alert, csrf_token, open_house
from tests.oidc_provider import OidcProvider, new_key


@pytest.fixture(scope="module")
def serving() -> Iterator[OidcProvider]:
    made = OidcProvider()
    with made.up():
        yield made


@pytest.fixture
def provider(serving: OidcProvider) -> OidcProvider:
    """As new, though the server stays."""
    fresh = OidcProvider(port=serving.port)
    vars(serving).update(vars(fresh))
    serving.groups("moderators")
    return serving


@pytest.fixture
def house(tmp_path: Path, provider: OidcProvider) -> Iterator[House]:
    with open_house(tmp_path, ReviewSettings(), oidc=OidcSettings(**provider.settings)) as made:
        yield made


@pytest.fixture
def client(house: House) -> Iterator[TestClient]:
    with house.browser() as made:
        yield made


def to_provider(client: TestClient, path: str = "/sign-in/oidc", **query: str) -> str:
    """Follows the button to the provider; where that sends the browser back to."""
    answer = client.get(path, params=query)
    assert answer.status_code == 303, answer.text
    there = urlsplit(answer.headers["Location"])
    with closing(HTTPConnection(there.netloc)) as connection:
        connection.request("GET", f"{there.path}?{there.query}")
        back = connection.getresponse().headers["Location"]
    assert back.startswith("http://testserver/sign-in/oidc/return?"), back
    return back.removeprefix("http://testserver")


def sign_in(client: TestClient, **query: str) -> Any:
    return client.get(to_provider(client, **query))


def me(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/v1/me").json()
    return found


def told(house: House) -> list[tuple[str, str]]:
    """The failures in the audit log: whose, and why."""
    failures.tell(house.engine, now=utc_now() + timedelta(minutes=2))
    with reading(house.engine) as session:
        assert audit.verify(session).sound
        events = audit.page(session, action="account.sign_in_failed")
    return [(each.subject, each.detail["reason"]) for each in reversed(events)]


def refused(client: TestClient, house: House, why: str, answer: Any, name: str = "(unknown)") -> str:
    """What the page says; nobody has come in."""
    assert answer.status_code == 403, answer.text
    assert "facewarden_session" not in client.cookies
    assert client.get("/v1/me").status_code == 401
    assert told(house)[-1] == (name, why)
    return alert(answer.text)


def test_the_first_sign_in_makes_the_account(
    house: House, client: TestClient, provider: OidcProvider
) -> None:
    assert 'href="/sign-in/oidc?next=/dashboard"' in client.get("/sign-in?next=/dashboard").text
    answer = sign_in(client, next="/dashboard")
    assert answer.status_code == 200
    assert '<meta http-equiv="refresh" content="0; url=/dashboard">' in answer.text
    assert (me(client)["name"], me(client)["role"]) == ("ann-smith", "reviewer")
    cookies = {each.partition("=")[0]: each for each in answer.headers.get_list("Set-Cookie")}
    assert {"HttpOnly", "SameSite=strict"} <= set(cookies["facewarden_session"].split("; "))
    assert "Max-Age=0" in cookies["facewarden_journey"]
    with reading(house.engine) as session:
        account = accounts.find(session, "ann-smith")
        assert (account.issuer, account.has_password) == (provider.issuer, False)
        events = [(each.action, each.actor) for each in audit.page(session, limit=2)]
    assert events == [("account.signed_in", "ann-smith"), ("account.added", "sign-in")]
    page = client.get("/account").text
    assert "Change password" not in page
    client.post("/sign-out", data={"csrf_token": csrf_token(page)})
    assert client.get("/v1/me").status_code == 401

    provider.claims["preferred_username"] = "Ann Jones"  # she marries; the subject stays
    sign_in(client)
    assert me(client)["name"] == "ann-smith"


def test_the_cookie_of_the_journey_comes_back_from_another_site(client: TestClient) -> None:
    (cookie,) = client.get("/sign-in/oidc").headers.get_list("Set-Cookie")
    assert {"HttpOnly", "SameSite=lax", "Path=/", "Max-Age=600"} <= set(cookie.split("; "))


def test_a_name_or_an_address_makes_nobody_somebody(
    house: House, client: TestClient, provider: OidcProvider
) -> None:
    """Accounts are known by issuer and subject: another account of that name, here or there, is another's."""
    house.account("ann@example.org", Role.ADMIN)
    for subject, expected in (("1", "ann@example.org-2"), ("2", "ann@example.org-3")):
        provider.claims |= {
            "sub": subject,
            "preferred_username": "Ann@Example.org",
            "email": "ann@example.org",
        }
        sign_in(client)
        assert (me(client)["name"], me(client)["role"]) == (expected, "reviewer")
    provider.claims |= {"sub": "3", "preferred_username": "李"}
    sign_in(client)
    assert me(client)["name"].startswith("person-")
    house.account("bob", Role.ADMIN)
    provider.claims |= {"sub": "4", "preferred_username": "bob"}
    sign_in(client)
    assert me(client)["name"] == "bob@127.0.0.1"


@pytest.mark.parametrize(
    ("why", "claims"),
    [
        ("oidc_nonce", {"nonce": "of another sign-in"}),
        ("oidc_nonce", {"nonce": None}),
        ("oidc_audience", {"aud": "another-client"}),
        ("oidc_audience", {"aud": ["facewarden", "another-client"], "azp": "another-client"}),
        ("oidc_issuer", {"iss": "https://elsewhere.example"}),
        ("oidc_issuer", {"iss": None}),
        ("oidc_expired", {"exp": 1_000_000_000}),
        ("oidc_expired", {"exp": None}),
        ("oidc_token", {"iat": 32_503_680_000}),
        ("oidc_token", {"sub": ""}),
        ("oidc_token", {"sub": "x" * 256}),
        ("oidc_token", {"sub": 5}),
        ("oidc_token", {"at_hash": "of another access token"}),
    ],
)
def test_a_token_that_is_not_for_this_sign_in_is_refused(
    house: House, client: TestClient, provider: OidcProvider, why: str, claims: dict[str, Any]
) -> None:
    provider.claims |= claims
    refused(client, house, why, sign_in(client))
    with reading(house.engine) as session:
        assert session.scalars(select(Account.id)).all() == []


def test_a_clock_that_is_a_little_off_keeps_nobody_out(client: TestClient, provider: OidcProvider) -> None:
    now = int(time.time())
    provider.claims |= {"iat": now + 30, "exp": now - 30}
    sign_in(client)
    assert me(client)["role"] == "reviewer"


def test_a_rotated_key_is_asked_for_anew(house: House, client: TestClient, provider: OidcProvider) -> None:
    sign_in(client)
    assert provider.paths.count("/.well-known/openid-configuration") == 1
    for key in (new_key("two"), new_key("two")):  # another name; another key by the same name
        provider.key = key
        client.cookies.clear()
        sign_in(client)
        assert me(client)["name"] == "ann-smith"
    assert provider.paths.count("/keys") == 3
    strange = new_key("two")
    provider.keys, provider.key = [provider.key], strange
    client.cookies.clear()
    refused(client, house, "oidc_signature", sign_in(client))


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES512"])
def test_a_token_that_the_provider_did_not_sign_is_refused(
    house: House, client: TestClient, provider: OidcProvider, algorithm: str
) -> None:
    def forge(token: str) -> str:
        _, payload, signature = token.split(".")
        header = base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "kid": "one"}).encode()).decode()
        return f"{header.rstrip('=')}.{payload}.{'' if algorithm == 'none' else signature}"

    provider.forge = forge
    refused(client, house, "oidc_signature", sign_in(client))


def test_an_answer_belongs_to_one_browser_and_counts_once(
    house: House, client: TestClient, provider: OidcProvider
) -> None:
    back = to_provider(client)
    with house.browser() as another:  # login CSRF: the attacker's answer in the victim's browser
        assert "Begin again" in refused(another, house, "oidc_state", another.get(back))
    kept = client.cookies["facewarden_journey"]
    assert client.get(back).status_code == 200
    client.cookies.clear()
    refused(client, house, "oidc_state", client.get(back))
    # Nor with the cookie put back, at a provider that lets codes be used twice.
    refused(
        client, house, "oidc_replayed", client.get(back, headers={"Cookie": f"facewarden_journey={kept}"})
    )
    other = parse_qs(urlsplit(to_provider(client)).query)["state"][0]
    assert other not in back
    refused(client, house, "oidc_state", client.get(back))  # the state of an earlier journey
    for cookie in ("", "x", "e30=", "W10=", "bnVsbA=="):
        answer = client.get(back, headers={"Cookie": f"facewarden_journey={cookie}"})
        refused(client, house, "oidc_state", answer)


def test_the_answer_of_another_provider_is_refused(house: House, client: TestClient) -> None:
    back = to_provider(client).replace("iss=http", "iss=https")
    refused(client, house, "oidc_issuer", client.get(back))


def test_what_the_provider_refuses_is_said(house: House, client: TestClient) -> None:
    state = parse_qs(urlsplit(to_provider(client)).query)["state"][0]
    answer = client.get("/sign-in/oidc/return", params={"state": state, "error": "access_denied"})
    refused(client, house, "oidc_denied", answer)
    state = parse_qs(urlsplit(to_provider(client)).query)["state"][0]
    answer = client.get("/sign-in/oidc/return", params={"state": state, "code": "made up"})
    refused(client, house, "oidc_code", answer)


@pytest.mark.parametrize(
    "body", [b"no JSON", b"[]", b"[" * 100_000, b" " * (1024**2 + 1), b'{"issuer": "x"}']
)
def test_a_provider_that_answers_nonsense_is_named(
    house: House, client: TestClient, provider: OidcProvider, body: bytes
) -> None:
    provider.body = body
    answer = client.get("/sign-in/oidc")
    why = "oidc_issuer" if b"issuer" in body else "oidc_unreachable"
    assert provider.issuer in refused(client, house, why, answer)
    assert "Password" in answer.text  # local accounts go on


def test_a_provider_in_the_own_network_takes_a_setting(tmp_path: Path, provider: OidcProvider) -> None:
    given = provider.settings | {"private_networks": ""}
    with open_house(tmp_path, oidc=OidcSettings(**given)) as house, house.browser() as client:
        refused(client, house, "oidc_unreachable", client.get("/sign-in/oidc"))
        assert provider.paths == []
    endpoints = {"authorization_endpoint": "javascript:alert(1)"}
    provider.published = endpoints
    with (
        open_house(tmp_path / "2", oidc=OidcSettings(**provider.settings)) as house,
        house.browser() as client,
    ):
        refused(client, house, "oidc_unreachable", client.get("/sign-in/oidc"))


def test_roles_follow_the_groups_at_every_sign_in(
    house: House, client: TestClient, provider: OidcProvider
) -> None:
    provider.groups("guests", "leads", "others")
    sign_in(client)
    assert me(client)["role"] == "admin"  # the highest counts
    account_id = me(client)["account_id"]
    token = house.bearer(account_id, {Scope.READ})
    provider.claims["groups"] = "guests"  # one group, as a text
    sign_in(client)
    assert me(client)["role"] == "viewer"  # though she was the last admin
    with transaction(house.engine) as session, pytest.raises(Conflict, match="groups"):
        accounts.set_role(session, account_id, Role.ADMIN, actor="test")
    with transaction(house.engine) as session, pytest.raises(InvalidValue, match="signs in at"):
        accounts.set_password(session, account_id, "hash", actor="test")
    assert client.get("/v1/me", headers=token).status_code == 200

    session_before = client.cookies["facewarden_session"]
    for groups in (["others"], [], None, {"moderators": True}, [["moderators"]]):
        provider.claims["groups"] = groups
        client.cookies.delete("facewarden_session")
        said = refused(client, house, "oidc_no_group", sign_in(client), name="ann-smith")
        assert "none of your groups" in said
    # What she had before ends as well.
    client.cookies.set("facewarden_session", session_before)
    assert client.get("/v1/me").status_code == 401
    assert client.get("/v1/me", headers=token).status_code == 401
    client.cookies.delete("facewarden_session")
    provider.groups("moderators")
    sign_in(client)
    assert me(client)["role"] == "reviewer"


def test_a_stranger_without_a_group_gets_no_account(
    house: House, client: TestClient, provider: OidcProvider
) -> None:
    provider.groups("others")
    refused(client, house, "oidc_no_group", sign_in(client))
    with reading(house.engine) as session:
        assert session.scalars(select(Account.id)).all() == []


def test_groups_may_be_deeper_or_in_the_userinfo(tmp_path: Path, provider: OidcProvider) -> None:
    del provider.claims["groups"]
    provider.userinfo = {"sub": "4711", "realm": {"roles": ["leads"]}}
    given = provider.settings | {"groups_claim": "realm.roles"}
    with open_house(tmp_path, oidc=OidcSettings(**given)) as house, house.browser() as client:
        sign_in(client)
        assert me(client)["role"] == "admin"
        provider.claims["realm"] = {"roles": ["guests"]}
        sign_in(client)
        assert me(client)["role"] == "viewer"
        del provider.claims["realm"]
        provider.userinfo["sub"] = "4712"  # of somebody else
        client.cookies.delete("facewarden_session")
        refused(client, house, "oidc_token", sign_in(client))


def test_a_userinfo_that_is_away_takes_nothing_from_anybody(tmp_path: Path, provider: OidcProvider) -> None:
    """No answer is not the answer that somebody has no groups: that would revoke their tokens."""
    groups = provider.claims.pop("groups")
    provider.userinfo = {"sub": "4711", "groups": groups}
    with (
        open_house(tmp_path, oidc=OidcSettings(**provider.settings)) as house,
        house.browser() as client,
        house.browser() as other,
    ):
        sign_in(client)
        provider.instead["/userinfo"] = 503, {"error": "try again"}
        refused(other, house, "oidc_unreachable", sign_in(other))
        assert me(client)["role"] == "reviewer"


def test_keys_that_are_missing_once_are_asked_for_again(
    house: House, client: TestClient, provider: OidcProvider
) -> None:
    for published in ({"error": "gateway"}, {"keys": []}, {"keys": "none"}):
        provider.instead["/keys"] = 200, published
        refused(client, house, "oidc_unreachable", sign_in(client))
    del provider.instead["/keys"]
    assert sign_in(client).status_code == 200


def test_disabled_accounts_stay_out(house: House, client: TestClient, provider: OidcProvider) -> None:
    sign_in(client)
    with transaction(house.engine) as session:
        accounts.set_active(session, me(client)["account_id"], active=False, actor="test")
    client.cookies.delete("facewarden_session")
    assert "disabled" in refused(client, house, "disabled", sign_in(client), name="ann-smith")


def test_a_password_opens_no_account_of_the_provider(house: House, client: TestClient) -> None:
    sign_in(client)
    client.cookies.clear()
    data = {"name": "ann-smith", "password": PASSWORD, "csrf_token": csrf_token(client.get("/sign-in").text)}
    assert client.post("/sign-in", data=data).status_code == 401
    assert told(house) == [("ann-smith", "no_password")]


def test_local_accounts_go_on(house: House, client: TestClient) -> None:
    house.account("ann", Role.ADMIN)
    form = client.get("/sign-in").text
    data = {"name": "ann", "password": PASSWORD, "csrf_token": csrf_token(form)}
    assert client.post("/sign-in", data=data).status_code == 303
    assert 'name="password"' in client.get("/confirm").text


def test_a_session_is_confirmed_at_the_provider(
    house: House, client: TestClient, provider: OidcProvider
) -> None:
    provider.groups("leads")
    sign_in(client)
    token = me_token = csrf_token(client.get("/account").text)
    add = {"name": "bob", "role": "viewer", "csrf_token": token}
    assert client.post("/admin/accounts", data=add).headers["Location"].startswith("/confirm")
    page = client.get("/confirm?next=/admin/accounts").text
    assert 'href="/confirm/oidc?next=/admin/accounts"' in page
    assert 'name="password"' not in page

    back = to_provider(client, "/confirm/oidc", next="/admin/accounts")
    assert provider.asked[-1]["prompt"] == "login"
    before = client.cookies["facewarden_session"]
    client.cookies.delete("facewarden_session")  # it does not come along from another site
    answer = client.get(back)
    assert "url=/admin/accounts" in answer.text
    assert client.cookies["facewarden_session"] != before
    assert csrf_token(client.get("/account").text) == me_token
    assert client.post("/admin/accounts", data=add).status_code == 200


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"auth_time": None}, "oidc_stale"),
        ({"auth_time": 1_700_000_000}, "oidc_stale"),
        ({"sub": "5"}, "oidc_other"),
    ],
)
def test_nobody_else_and_nothing_old_confirms_a_session(
    house: House, client: TestClient, provider: OidcProvider, claims: dict[str, Any], why: str
) -> None:
    sign_in(client)
    provider.claims |= claims
    answer = client.get(to_provider(client, "/confirm/oidc"))
    assert answer.status_code == 403
    assert why in [reason for _, reason in told(house)]
    assert client.get("/confirm").status_code == 200  # still signed in
    answer = client.post("/account/tokens", data={"csrf_token": csrf_token(client.get("/account").text)})
    assert answer.headers["Location"].startswith("/confirm")


def test_floods_are_limited_by_address_and_outages_do_not_count(
    tmp_path: Path, provider: OidcProvider
) -> None:
    review = ReviewSettings(sign_in_failures_per_name=1, sign_in_failures_per_address=2)
    with (
        open_house(tmp_path, review, oidc=OidcSettings(**provider.settings)) as house,
        house.browser() as client,
    ):
        provider.instead["/token"] = 503, {}
        for _ in range(3):
            refused(client, house, "oidc_unreachable", sign_in(client))
        del provider.instead["/token"]
        for expected in (403, 403, 429):
            state = parse_qs(urlsplit(to_provider(client)).query)["state"][0]
            answer = client.get("/sign-in/oidc/return", params={"state": state, "code": "guessed"})
            assert answer.status_code == expected
        assert told(house)[-1] == ("(unknown)", "too_many")


def test_without_a_provider_there_is_no_button(tmp_path: Path) -> None:
    with open_house(tmp_path) as house, house.browser() as client:
        assert "oidc" not in client.get("/sign-in").text
        for path in ("/sign-in/oidc", "/sign-in/oidc/return?state=x&code=y"):
            assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"client_id": ""}, "CLIENT_ID"),
        ({"roles": {}}, "ROLES"),
        ({"roles": {"x": "service"}}, "ROLES"),
        ({"plain_http": False}, "https"),
        ({"issuer": "ftp://x"}, "https"),
        ({"scopes": "email"}, "openid"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    provider: OidcProvider, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        OidcSettings(**provider.settings | change)
