"""The client against answers made up here: what it tries again, for how long, and what it says in the end."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.errors import FileVanished, NotYetScreened, ServerBusy, ServerRefused, ServiceUnavailable
from facewarden import client as clients
from facewarden.client import Client

ROOT = Path(__file__).resolve().parents[3]
TAKEN = {"video_id": 7, "sha256": "a" * 64, "name": "a.mp4", "intake": "queued", "priority": "normal"}
WAITING = {
    "video_id": 7,
    "status": "queued",
    "priority": "normal",
    "verdict": None,
    "score": None,
    "error_code": None,
    "error_message": None,
    "a_later_release_says": "more",
}
Script = list[httpx.Response | Exception]


def refusal(status: int, code: str = "queue_full", **headers: str) -> httpx.Response:
    content = {"code": code, "detail": "Not now.", "status": status}
    return httpx.Response(
        status, json=content, headers={key.replace("_", "-"): headers[key] for key in headers}
    )


class Server:
    """Gives the scripted answers in order, and keeps what it was asked."""

    def __init__(self, script: Script) -> None:
        self.script, self.asked, self.slept = script, list[httpx.Request](), list[float]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.asked.append(request)
        answer = self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, **options: Any) -> Client:
        return Client(
            "http://fw.example/",
            "fw_secret",
            transport=httpx.MockTransport(self),
            sleep=self.slept.append,
            **options,
        )


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"content")
    return path


def test_an_upload_is_tried_again_whole_with_one_key(clip: Path) -> None:
    server = Server(
        [
            httpx.ConnectError("refused"),
            refusal(503, "service_unavailable", Retry_After="5"),
            refusal(429, Retry_After="31"),
            refusal(504),
            httpx.Response(201, json=TAKEN),
        ]
    )
    with server.client() as client:
        assert client.upload(clip).video_id == 7
        server.script.append(httpx.Response(200, json=TAKEN))
        client.upload(clip)
    keys = [request.headers["Idempotency-Key"] for request in server.asked]
    assert len(set(keys[:5])) == 1
    assert keys[5] != keys[0]
    assert {request.content for request in server.asked} == {b"content"}
    assert {request.headers["Authorization"] for request in server.asked} == {"Bearer fw_secret"}
    assert server.slept[1:3] == [5, 31]
    assert 0.25 <= server.slept[0] <= 0.5  # the first pause of its own
    assert 2 <= server.slept[3] <= 4  # the fourth


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (lambda: refusal(429, Retry_After="3600"), ServerBusy, "a.mp4: Not now. It was tried 3 times."),
        (lambda: httpx.ReadTimeout("no answer"), ServiceUnavailable, "http://fw.example does not answer"),
    ],
    ids=["busy", "away"],
)
def test_in_the_end_it_says_why(
    clip: Path, answer: Callable[[], httpx.Response | Exception], error: type[Exception], said: str
) -> None:
    server = Server([answer() for _ in range(3)])
    with pytest.raises(error) as caught:
        server.client(attempts=3).upload(clip)
    assert said in str(caught.value)
    assert len(server.slept) == 2
    assert max(server.slept) <= clients.LONGEST_PAUSE_SECONDS  # whatever the server asks for


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (refusal(403, "not_allowed"), "a.mp4: Not now. (HTTP 403, not_allowed)"),
        (httpx.Response(404, text="<html>"), "the server answered Not Found. (HTTP 404, unknown)"),
    ],
)
def test_what_is_refused_is_not_tried_again(clip: Path, answer: httpx.Response, said: str) -> None:
    server = Server([answer])
    with pytest.raises(ServerRefused) as caught:
        server.client().upload(clip)
    assert said in str(caught.value)
    assert server.slept == []


def test_a_file_that_is_gone_is_named_before_anything_is_sent(tmp_path: Path) -> None:
    server = Server([])
    with pytest.raises(FileVanished, match=r"none\.mp4"):
        server.client().upload(tmp_path / "none.mp4")


def test_waiting_looks_less_and_less_often_until_the_end() -> None:
    done = WAITING | {"status": "done", "verdict": "fake", "score": 0.9}
    server = Server([httpx.Response(200, json=WAITING) for _ in range(12)] + [httpx.Response(200, json=done)])
    status = server.client().wait(7)
    assert (status.verdict, status.score, status.ended) == ("fake", 0.9, True)
    assert server.slept == sorted(server.slept)
    assert (server.slept[0], server.slept[-1]) == clients.LOOK_SECONDS


def test_waiting_has_an_end() -> None:
    server = Server([httpx.Response(200, json=WAITING) for _ in range(9)])
    with pytest.raises(NotYetScreened, match="video 7: not screened within 3 s; its status is queued"):
        server.client().wait(7, timeout=3)
    assert sum(server.slept) == 3


def test_a_large_file_goes_to_the_object_store_without_the_token(clip: Path) -> None:
    parts = [
        {"number": 1, "start": 0, "size_bytes": 5, "url": "http://s3.example/one"},
        {"number": 2, "start": 5, "size_bytes": 2, "url": "http://s3.example/two"},
    ]
    server = Server(
        [
            refusal(413, "media_too_large"),
            httpx.Response(201, json={"id": "u", "parts": parts}),
            httpx.Response(200),
            httpx.Response(503),
            httpx.Response(200),
            httpx.Response(201, json=TAKEN),
        ]
    )
    assert server.client().upload(clip).video_id == 7
    _, begun, *sent, complete = server.asked
    assert b'"size_bytes":7' in begun.content.replace(b" ", b"")
    assert [(request.url.path, request.content) for request in sent] == [
        ("/one", b"conte"),
        ("/two", b"nt"),
        ("/two", b"nt"),
    ]
    assert not [request for request in sent if "Authorization" in request.headers]
    assert [request.headers["Content-Length"] for request in sent] == ["5", "2", "2"]
    assert complete.url.path == "/v1/direct-uploads/u:complete"


def test_the_page_tells_all_that_a_client_does() -> None:
    page = (ROOT / "docs/library.md").read_text().partition("\n## A client of an installation")[2]
    told = set(re.findall(r"^\| `([a-z]+)` \|", page, re.M))
    assert told == {name for name in vars(Client) if not name.startswith("_")} - {"close"}


def test_without_a_bucket_a_large_file_is_too_large(clip: Path) -> None:
    server = Server([refusal(413, "media_too_large"), refusal(409, "conflict")])
    with pytest.raises(ServerRefused, match="media_too_large"):
        server.client().upload(clip)
