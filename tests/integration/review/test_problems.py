"""How refusals and failures look: problem+json under /v1, a page elsewhere, and headers on everything."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from core import errors
from core.errors import FacewardenError
from core.roles import Role, Scope
from review.headers import HEADERS
from review.problems import status_of
from storage.people import accounts
from tests.integration.review.house import House


@pytest.fixture
def client(house: House) -> Iterator[TestClient]:
    with TestClient(house.app, follow_redirects=False, raise_server_exceptions=False) as made:
        made.headers.update(house.visit(house.account("boss", Role.ADMIN), confirmed=True).headers)
        yield made


@pytest.mark.parametrize(
    "path", ["/healthz", "/sign-in", "/queue", "/v1/me", "/v1/none", "/none", "/static/app.css"]
)
def test_every_answer_has_the_headers(client: TestClient, path: str) -> None:
    answer = client.get(path)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value or name == "Cache-Control"
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "Server" not in answer.headers


def test_no_page_has_scripts_or_styles_of_its_own(client: TestClient) -> None:
    """The policy would block them, silently for whoever does not look into the console."""
    for path in (
        "/account",
        "/admin/accounts",
        "/admin/tokens",
        "/admin/audit",
        "/queue",
        "/upload",
        "/none",
    ):
        text = client.get(path).text
        assert "<style" not in text
        assert "style=" not in text
        assert "javascript:" not in text
        assert text.count("<script") == text.count("<script src=")
        assert " onclick" not in text


def test_nothing_is_found_as_a_problem_or_as_a_page(client: TestClient) -> None:
    problem = client.get("/v1/none")
    assert problem.headers["Content-Type"] == "application/problem+json"
    assert problem.json() == {
        "type": "urn:facewarden:not_found",
        "title": "Not Found",
        "status": 404,
        "code": "not_found",
        "detail": "There is no such page.",
        "instance": "/v1/none",
    }
    page = client.get("/none")
    assert (page.status_code, page.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert client.delete("/v1/me").status_code == 405
    assert client.get("/docs").status_code == client.get("/openapi.json").status_code == 404


@pytest.mark.parametrize(
    ("role", "scopes", "path", "needed"),
    [
        (Role.VIEWER, [Scope.READ], "/v1/videos/1/claim", "the role reviewer"),
        (Role.REVIEWER, [Scope.READ], "/v1/videos/1/claim", "a token with the scope decide"),
        (Role.REVIEWER, [Scope.READ], "/v1/accounts", "the role admin"),
        (Role.SERVICE, [Scope.READ], "/v1/accounts", "a token with the scope admin"),
    ],
)
def test_a_refusal_says_which_role_or_scope_is_needed(
    house: House, role: Role, scopes: list[Scope], path: str, needed: str
) -> None:
    with house.browser() as browser:
        headers = house.bearer(house.account("ann", role), scopes)
        answer = browser.request("POST" if "claim" in path else "GET", path, headers=headers)
    assert answer.json()["code"] == "not_allowed"
    assert answer.json()["detail"] == f"ann may not do this: it takes {needed}. Ask an admin."


def test_a_database_that_is_away_asks_to_come_again(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise errors.ServiceUnavailable(service="The database", address="x", reason="y", setting="z")

    monkeypatch.setattr(accounts, "listed", away)
    for path in ("/v1/accounts", "/admin/accounts"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "5"


def test_a_surprise_tells_nothing_of_the_inside(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret of the inside")

    monkeypatch.setattr(accounts, "listed", fail)
    with capture_logs() as logs:
        answer = client.get("/v1/accounts")
        page = client.get("/admin/accounts")
    assert [entry["path"] for entry in logs] == ["/v1/accounts", "/admin/accounts"]
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert page.status_code == 500
    assert "secret" not in page.text
    assert page.headers["Content-Security-Policy"]


def test_what_was_sent_is_not_sent_back(client: TestClient) -> None:
    answer = client.post("/v1/accounts", json={"name": "ann", "role": "s3cret-typed-into-the-wrong-field"})
    assert answer.status_code == 422
    assert "s3cret" not in answer.text


def test_what_is_no_text_is_refused_in_text(client: TestClient) -> None:
    for body in (
        '{"name": "\\ud800", "role": "viewer"}',
        '{"\\ud800": 1, "name": "\\u0000", "role": "\\ud800"}',
    ):
        answer = client.post("/v1/accounts", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 422
        assert answer.json()["detail"]


def test_large_bodies_are_refused_where_nothing_large_belongs(client: TestClient) -> None:
    answer = client.post(
        "/v1/accounts", content=b"{" + b" " * 2_000_000, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 413


KINDS = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, FacewardenError)
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_has_a_status(kind: type[FacewardenError]) -> None:
    status = status_of(kind())
    if issubclass(kind, errors.RetryableError):
        assert status in {429, 503}
    elif issubclass(kind, errors.InputError | errors.AccessError | errors.Conflict):
        assert 400 <= status < 500
