"""Under which names the service answers."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from core.settings import ReviewSettings, Settings
from review.app import create_app
from storage import migrate
from storage.engine import connect

FOREIGN = [
    "evil.example",
    "evil.example:8080",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil-localhost",
    "192.0.2.7",
    "localhost:80:80",
    "localhost@evil.example",
    "evil.example#localhost",
    "localhost, evil.example",
    "[::1].evil.example",
    "[::1",
    "[evil.example]",
    "localhost..",
    " ",
    "",
]
OWN = [
    "localhost",
    "LOCALHOST:8080",
    "localhost.",
    "127.0.0.1",
    "127.0.0.1:8080",
    "[::1]",
    "[::1]:80",
    "[0:0::1]",
]
PATHS = ["/healthz", "/sign-in", "/static/app.css", "/v1/me", "/nowhere", "/events"]


def client_of(folder: Path, review: ReviewSettings) -> TestClient:
    settings = Settings(home=folder / "home", review=review, _env_file=None)
    engine = connect(settings.sql_url)
    migrate.upgrade(engine)
    engine.dispose()
    return TestClient(create_app(settings), base_url="http://localhost", follow_redirects=False)


@pytest.mark.parametrize("path", PATHS)
def test_nothing_answers_under_another_name(tmp_path: Path, path: str) -> None:
    with client_of(tmp_path, ReviewSettings()) as client:
        for host in FOREIGN:
            answer = client.get(path, headers={"Host": host})
            assert answer.status_code == 400, host
            assert "FACEWARDEN_REVIEW__HOSTS" in answer.text
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            if path.startswith("/v1/"):
                assert answer.json()["code"] == "unknown_host"
        for host in OWN:
            assert client.get(path, headers={"Host": host}).status_code != 400, host


@pytest.mark.parametrize(
    ("review", "own", "foreign"),
    [
        (ReviewSettings(host="192.0.2.7"), ["192.0.2.7:8080", "localhost"], ["192.0.2.8", "evil.example"]),
        # On every address: any address, which no rebound name is.
        (ReviewSettings(host="0.0.0.0"), ["192.0.2.7", "[2001:db8::1]:8080"], ["evil.example"]),  # noqa: S104
        (
            ReviewSettings(hosts="Review.example.com, *.intern.example."),
            ["review.example.com", "review.EXAMPLE.com.:443", "a.intern.example", "a.b.intern.example"],
            [
                "example.com",
                "x.review.example.com",
                "intern.example",
                "xintern.example",
                "a.intern.example.org",
            ],
        ),
        (ReviewSettings(hosts="*"), ["anything.example", "192.0.2.7"], []),
    ],
)
def test_more_names_are_set(
    tmp_path: Path, review: ReviewSettings, own: list[str], foreign: list[str]
) -> None:
    with client_of(tmp_path, review) as client:
        assert [client.get("/healthz", headers={"Host": host}).status_code for host in own] == [200] * len(
            own
        )
        refused = [client.get("/healthz", headers={"Host": host}).status_code for host in foreign]
        assert refused == [400] * len(foreign)
