"""Every route of the service, and who gets past its door.

A new route fails here until it stands in ROUTES: add its row, with the permissions that `require` asks for
(`needs()` where any account will do). What the row claims is then tried from all sides: nobody, made-up and
ended sessions, every role and every scope too little, a one-time password, a forged or borrowed CSRF token;
and whoever has just the right must get in.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote

import pytest
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient

from core.roles import Role, Scope
from review.auth.access import ROLE_PERMISSIONS, SAFE_METHODS, SCOPE_PERMISSIONS, Permission
from storage.engine import transaction
from storage.people import accounts, sessions
from tests.integration.review.house import House, Visit, open_house

VIEW, DECIDE, UPLOAD = Permission.VIEW, Permission.DECIDE, Permission.UPLOAD
EXPORT, RESCREEN, ADMIN = Permission.EXPORT, Permission.RESCREEN, Permission.ADMIN


@dataclass(frozen=True, kw_only=True)
class Door:
    needs: frozenset[Permission] = frozenset()
    public: bool = False  # answers anybody; holds nothing worth a sign-in
    by_token: bool = True  # an API token will do
    confirmed: bool = False  # a session must have given its password once more
    one_time: bool = False  # a one-time password will do
    streams: bool = False  # its answer does not end: that the right ones get in is tested elsewhere


Key = Callable[..., dict[str, str]]
PUBLIC = Door(public=True)
PERSONAL = Door(by_token=False)
NEWCOMER = Door(by_token=False, one_time=True)
KEEPER = Door(needs=frozenset({ADMIN}), by_token=False, confirmed=True)  # decides who gets in, and as what

SECRETS = Door(needs=frozenset({ADMIN}), confirmed=True)  # decides who is told, by what secret


def needs(*permissions: Permission) -> Door:
    return Door(needs=frozenset(permissions))


ROUTES: dict[tuple[str, str], Door] = {
    ("GET", "/healthz"): PUBLIC,
    ("GET", "/static/{name}"): PUBLIC,
    ("GET", "/sign-in"): PUBLIC,
    ("POST", "/sign-in"): PUBLIC,  # its own CSRF token is tested in test_sign_in.py
    ("GET", "/sign-in/oidc"): PUBLIC,
    ("GET", "/sign-in/oidc/return"): PUBLIC,  # its journey and state are tested in test_oidc.py
    ("POST", "/sign-out"): NEWCOMER,
    ("GET", "/"): needs(VIEW),
    ("GET", "/account"): NEWCOMER,
    ("POST", "/account/password"): NEWCOMER,
    ("POST", "/account/blind"): PERSONAL,
    ("GET", "/confirm"): PERSONAL,
    ("POST", "/confirm"): PERSONAL,
    ("GET", "/confirm/oidc"): PERSONAL,
    ("POST", "/v1/confirmation"): PERSONAL,
    ("POST", "/account/tokens"): Door(by_token=False, confirmed=True),
    ("POST", "/account/tokens/{token_id}/revoke"): PERSONAL,
    ("GET", "/admin/accounts"): needs(ADMIN),
    ("POST", "/admin/accounts"): KEEPER,
    ("POST", "/admin/accounts/{account_id}/password"): KEEPER,
    ("POST", "/admin/accounts/{account_id}/role"): KEEPER,
    ("POST", "/admin/accounts/{account_id}/active"): KEEPER,
    ("GET", "/admin/tokens"): needs(ADMIN),
    ("POST", "/admin/tokens"): KEEPER,
    ("POST", "/admin/tokens/{token_id}/revoke"): needs(ADMIN),
    ("GET", "/admin/audit"): needs(ADMIN),
    ("POST", "/admin/audit/verify"): needs(ADMIN),
    ("DELETE", "/v1/videos/{video_id}"): SECRETS,
    ("PUT", "/v1/videos/{video_id}/hold"): needs(ADMIN),
    ("DELETE", "/v1/videos/{video_id}/hold"): needs(ADMIN),
    ("GET", "/admin/webhooks"): needs(ADMIN),
    ("POST", "/admin/webhooks"): SECRETS,
    ("GET", "/admin/webhooks/{webhook_id}"): needs(ADMIN),
    ("POST", "/admin/webhooks/{webhook_id}/active"): SECRETS,
    ("POST", "/admin/webhooks/{webhook_id}/secret"): SECRETS,
    ("POST", "/admin/webhooks/{webhook_id}/remove"): SECRETS,
    ("POST", "/admin/webhooks/{webhook_id}/replay"): needs(ADMIN),
    ("GET", "/v1/webhooks"): needs(ADMIN),
    ("POST", "/v1/webhooks"): SECRETS,
    ("PATCH", "/v1/webhooks/{webhook_id}"): SECRETS,
    ("DELETE", "/v1/webhooks/{webhook_id}"): SECRETS,
    ("POST", "/v1/webhooks/{webhook_id}/secret"): SECRETS,
    ("GET", "/v1/webhooks/{webhook_id}/deliveries"): needs(ADMIN),
    ("POST", "/v1/webhooks/{webhook_id}/replay"): needs(ADMIN),
    ("GET", "/v1/known-lists"): needs(ADMIN),
    ("POST", "/v1/known-lists/{name}"): needs(ADMIN),
    ("GET", "/v1/known-lists/{name}"): needs(ADMIN),
    ("DELETE", "/v1/known-lists/{name}"): needs(ADMIN),
    ("GET", "/v1/openapi.json"): needs(VIEW),
    ("GET", "/v1/me"): needs(),
    ("GET", "/v1/accounts"): needs(ADMIN),
    ("POST", "/v1/accounts"): KEEPER,
    ("PATCH", "/v1/accounts/{account_id}"): KEEPER,
    ("POST", "/v1/accounts/{account_id}/password"): KEEPER,
    ("GET", "/v1/tokens"): needs(ADMIN),
    ("POST", "/v1/tokens"): Door(needs=frozenset({ADMIN}), confirmed=True),  # a token: within its own bounds
    ("DELETE", "/v1/tokens/{token_id}"): needs(ADMIN),
    ("GET", "/v1/audit"): needs(ADMIN),
    ("GET", "/v1/audit/verification"): needs(ADMIN),
    ("GET", "/v1/audit/export"): needs(ADMIN),
    ("GET", "/v1/videos"): needs(VIEW),
    ("POST", "/v1/videos"): needs(UPLOAD),
    ("GET", "/v1/videos/{video_id}/status"): needs(VIEW),
    ("POST", "/v1/videos/{video_id}:cancel"): needs(RESCREEN),
    ("POST", "/v1/direct-uploads"): needs(UPLOAD),
    ("POST", "/v1/direct-uploads/{upload_id}:complete"): needs(UPLOAD),
    ("DELETE", "/v1/direct-uploads/{upload_id}"): needs(UPLOAD),
    ("POST", "/v1/videos:by-url"): needs(UPLOAD),
    ("POST", "/v1/streams"): needs(UPLOAD),
    ("GET", "/v1/streams"): needs(VIEW),
    ("GET", "/v1/streams/{stream_id}"): needs(VIEW),
    ("DELETE", "/v1/streams/{stream_id}"): needs(UPLOAD),
    ("GET", "/v1/streams/{stream_id}/alerts"): needs(VIEW),
    ("GET", "/v1/alert-frames/{alert_frame_id}/image"): needs(VIEW),
    ("GET", "/v1/alert-frames/{alert_frame_id}/crop"): needs(VIEW),
    ("GET", "/v1/stream-alerts/{alert_id}/clip"): needs(VIEW),
    ("POST", "/v1/bucket-events"): needs(UPLOAD),
    ("GET", "/v1/counts"): needs(VIEW),
    ("GET", "/v1/videos/{video_id}"): needs(VIEW),
    ("GET", "/v1/videos/{video_id}/media"): needs(VIEW),
    ("GET", "/v1/videos/{video_id}/thumbnail"): needs(VIEW),
    ("GET", "/v1/videos/{video_id}/poster"): needs(VIEW),
    ("GET", "/v1/frames/{frame_id}/image"): needs(VIEW),
    ("GET", "/v1/frames/{frame_id}/crop"): needs(VIEW),
    ("GET", "/v1/explanations/{explanation_id}"): needs(VIEW),
    ("GET", "/v1/explanations/{explanation_id}/{overlay}.png"): needs(VIEW),
    ("GET", "/v1/videos/{video_id}/decisions"): needs(VIEW),
    ("POST", "/v1/videos/{video_id}/decisions"): needs(VIEW, DECIDE),
    ("POST", "/v1/videos/{video_id}/claim"): needs(VIEW, DECIDE),
    ("DELETE", "/v1/videos/{video_id}/claim"): needs(VIEW, DECIDE),
    ("POST", "/v1/videos/{video_id}/skip"): needs(VIEW, DECIDE),
    ("POST", "/v1/claims"): needs(VIEW, DECIDE),
    ("POST", "/v1/videos/{video_id}/screenings"): needs(RESCREEN),
    ("POST", "/v1/uploads"): needs(UPLOAD),
    ("GET", "/v1/export"): needs(VIEW, EXPORT),
    ("GET", "/v1/dashboard"): needs(VIEW),
    ("GET", "/v1/models"): needs(VIEW),
    ("GET", "/v1/models/report"): needs(VIEW, DECIDE),
    ("GET", "/queue"): needs(VIEW),
    ("POST", "/queue/next"): needs(VIEW, DECIDE),
    ("GET", "/videos/{video_id}"): needs(VIEW),
    ("POST", "/videos/{video_id}/decision"): needs(VIEW, DECIDE),
    ("POST", "/videos/{video_id}/skip"): needs(VIEW, DECIDE),
    ("POST", "/videos/{video_id}/claim"): needs(VIEW, DECIDE),
    ("POST", "/videos/{video_id}/release"): needs(VIEW, DECIDE),
    ("POST", "/videos/{video_id}/hold"): needs(ADMIN),
    ("POST", "/videos/{video_id}/lift-hold"): needs(ADMIN),
    ("POST", "/videos/{video_id}/erase"): SECRETS,
    ("GET", "/videos/{video_id}/evidence.html"): needs(VIEW, EXPORT),
    ("GET", "/videos/{video_id}/evidence.pdf"): needs(VIEW, EXPORT),
    ("GET", "/videos/{video_id}/evidence.json"): needs(VIEW, EXPORT),
    ("GET", "/streams"): needs(VIEW),
    ("POST", "/streams"): needs(UPLOAD),
    ("GET", "/streams/{stream_id}"): needs(VIEW),
    ("GET", "/streams/{stream_id}/live"): needs(VIEW),
    ("GET", "/streams/{stream_id}/alerts"): needs(VIEW),
    ("POST", "/streams/{stream_id}/stop"): needs(UPLOAD),
    ("GET", "/upload"): needs(UPLOAD),
    ("POST", "/upload"): needs(UPLOAD),
    ("GET", "/dashboard"): needs(VIEW),
    ("GET", "/events"): Door(needs=frozenset({VIEW}), streams=True),
}
GUARDED = {route: door for route, door in ROUTES.items() if not door.public}
NOBODYS = str(2**31 - 1)  # an id that nothing has: no request of this test changes anything


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture(scope="module")
def client(house: House) -> Iterator[TestClient]:
    with house.browser() as made:
        yield made


def knock(client: TestClient, route: tuple[str, str], headers: dict[str, str] | None = None) -> Any:
    method, path = route
    known = ("stream_id", "alert_frame_id", "alert_id")
    for part in (*known, "video_id", "frame_id", "explanation_id", "account_id", "token_id", "webhook_id"):
        path = path.replace("{" + part + "}", NOBODYS)
    path = path.replace("{overlay}", "heat").replace("{name}", "app.css").replace("{upload_id}", "0" * 32)
    assert "{" not in path, "say above what stands for the new parameter"
    client.cookies.clear()
    return client.request(method, path, headers=headers)


def assert_unknown(route: tuple[str, str], answer: Any) -> None:
    """Sent to the sign-in, or told to."""
    if route[1].startswith("/v1/"):
        assert answer.status_code == 401, answer.text
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["code"] == "not_signed_in"
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    else:
        assert answer.status_code == 303, answer.text
        assert answer.headers["Location"].startswith("/sign-in")


def assert_refused(route: tuple[str, str], answer: Any, code: str) -> None:
    assert answer.status_code == 403, f"{answer.status_code} {answer.text}"
    if route[1].startswith("/v1/"):
        assert answer.json()["code"] == code


def test_every_route_is_in_the_table_and_nothing_else_is(house: House) -> None:
    routes: set[tuple[str, str]] = set()
    for context in iter_route_contexts(house.app.routes):
        assert context.methods, f"{context.path}: what is mounted has no door; make it a route"
        routes |= {(method, context.path or "") for method in context.methods}
    assert routes == set(ROUTES)


@pytest.fixture(scope="module")
def strangers(house: House) -> list[dict[str, str]]:
    """What nobody who comes with it may get in by."""
    admin, gone = house.account("admin", Role.ADMIN), house.account("gone", Role.ADMIN)
    good, out, over = house.visit(admin), house.visit(admin), house.visit(admin, hours=-1)
    disabled, revoked = house.visit(gone), house.bearer(gone, Scope)
    with transaction(house.engine) as session:
        sessions.end(session, out.cookie)
        accounts.set_active(session, gone, active=False, actor="test")
        # Its sessions have ended with it; this one stands for a race lost against the disabling.
        left = sessions.start(session, gone, hours=1)
    return [
        {},
        Visit(cookie=good.cookie[:-1], csrf_token=good.csrf_token).headers,
        out.headers,
        over.headers,
        disabled.headers,
        Visit(cookie=left, csrf_token="").headers,
        revoked,
        {"Authorization": "Bearer fw_made-up"},
        {"Authorization": "Basic YWRtaW46YWRtaW4="},
        # A token that is refused is not made up for by a session.
        good.headers | {"Authorization": "Bearer fw_made-up"},
    ]


@pytest.mark.parametrize("route", GUARDED, ids=" ".join)
def test_strangers_are_refused(
    client: TestClient, strangers: list[dict[str, str]], route: tuple[str, str]
) -> None:
    for headers in strangers:
        assert_unknown(route, knock(client, route, headers))


@pytest.fixture(scope="module")
def key(house: House) -> Key:
    """The headers of one session per role, or of one token per role and scopes."""

    @cache
    def headers(role: Role, scopes: frozenset[Scope] | None = None) -> dict[str, str]:
        account_id = house.account(role, role)
        return house.visit(account_id).headers if scopes is None else house.bearer(account_id, scopes)

    return headers


@pytest.mark.parametrize("route", GUARDED, ids=" ".join)
def test_too_little_is_refused(client: TestClient, key: Key, route: tuple[str, str]) -> None:
    door, everything = GUARDED[route], frozenset(Scope)
    to_tokens = "not_allowed" if door.by_token else "session_only"
    for role in (Role.VIEWER, Role.REVIEWER):
        if not door.needs <= ROLE_PERMISSIONS[role]:
            assert_refused(route, knock(client, route, key(role)), "not_allowed")
            # All scopes in the hand of a role that has not the right give no right either.
            assert_refused(route, knock(client, route, key(role, everything)), to_tokens)
    for lacking in door.needs:
        scopes = frozenset(scope for scope in Scope if SCOPE_PERMISSIONS[scope] != lacking)
        assert_refused(route, knock(client, route, key(Role.SERVICE, scopes)), to_tokens)
    if not door.by_token:
        assert_refused(route, knock(client, route, key(Role.ADMIN, everything)), "session_only")


@pytest.mark.parametrize("route", GUARDED, ids=" ".join)
def test_a_one_time_password_opens_nothing_else(
    house: House, client: TestClient, route: tuple[str, str]
) -> None:
    visit = house.visit(house.account("new", Role.ADMIN, must_change=True))
    answer = knock(client, route, visit.headers)
    if GUARDED[route].one_time:
        assert answer.status_code not in {401, 403}
    elif route[1].startswith("/v1/"):
        assert_refused(route, answer, "password_must_change")
    else:
        assert (answer.status_code, answer.headers["Location"]) == (303, "/account")


@pytest.mark.parametrize("route", [route for route in GUARDED if route[0] not in SAFE_METHODS], ids=" ".join)
def test_forgeries_are_refused(house: House, client: TestClient, key: Key, route: tuple[str, str]) -> None:
    mine, other = key(Role.ADMIN), house.visit(house.account(Role.ADMIN, Role.ADMIN))
    cookie = {"Cookie": mine["Cookie"]}
    for forged in (
        cookie,
        cookie | {"X-CSRF-Token": ""},
        cookie | {"X-CSRF-Token": "x"},
        cookie | {"X-CSRF-Token": other.csrf_token},  # of another session, even of the same account
        mine | {"Sec-Fetch-Site": "cross-site"},
        mine | {"Sec-Fetch-Site": "same-site"},
    ):
        assert_refused(route, knock(client, route, forged), "forged_request")


@pytest.mark.parametrize(
    "route", [route for route, door in GUARDED.items() if not door.streams], ids=" ".join
)
def test_just_enough_gets_in(house: House, client: TestClient, key: Key, route: tuple[str, str]) -> None:
    door = GUARDED[route]
    role = next(
        role for role in (Role.VIEWER, Role.REVIEWER, Role.ADMIN) if door.needs <= ROLE_PERMISSIONS[role]
    )
    visit = house.visit(house.account(role, role), confirmed=door.confirmed)
    answer = knock(client, route, visit.headers)
    assert answer.status_code not in {401, 403, 500}, answer.text
    assert not answer.headers.get("Location", "").startswith("/confirm")
    assert not answer.headers.get("Location", "").startswith("/sign-in") or route[1] == "/sign-out"
    if door.by_token:
        scopes = [scope for scope in Scope if SCOPE_PERMISSIONS[scope] in door.needs] or [Scope.READ]
        answer = knock(client, route, key(Role.SERVICE, frozenset(scopes)))
        assert answer.status_code not in {401, 403, 500}, answer.text


@pytest.mark.parametrize("route", [route for route, door in GUARDED.items() if door.confirmed], ids=" ".join)
def test_a_session_alone_does_not_decide_who_gets_in(
    house: House, client: TestClient, key: Key, route: tuple[str, str]
) -> None:
    answer = knock(client, route, key(Role.ADMIN))
    if route[1].startswith("/v1/"):
        assert_refused(route, answer, "password_needed")
        assert "/v1/confirmation" in answer.json()["detail"]
    else:
        assert answer.status_code == 303
        back = unquote(answer.headers["Location"].removeprefix("/confirm?next="))
        page = client.get(back, headers=key(Role.ADMIN))
        if back == f"/videos/{NOBODYS}":  # whose page nobody can see: test_keeping has that of a real one
            assert page.status_code == 404
            return
        assert page.status_code == 200
        assert "To change anything here, enter your password again" in page.text


@pytest.mark.parametrize("route", [route for route, door in ROUTES.items() if door.public], ids=" ".join)
def test_what_is_public_answers_anybody(client: TestClient, route: tuple[str, str]) -> None:
    # 403: the sign-in form's own CSRF token; 404: no provider is set up.
    assert knock(client, route).status_code in {200, 403, 404}
