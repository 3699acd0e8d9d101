"""A server that limits requests, fails, or breaks off: what no real one does when asked."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from core.errors import BucketRefused, BucketUnavailable
from core.settings import S3Settings
from storage.objects.s3.bucket import Bucket
from tests.s3_server import ENVIRONMENT, REGION

SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>"


class BadServer(ThreadingHTTPServer):
    """Answers from a list: status, content, and whether it breaks off in the middle."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, bytes, bool]] = []
        self.asked = 0


class Handler(BaseHTTPRequestHandler):
    server: BadServer

    def do_GET(self) -> None:
        self.server.asked += 1
        status, content, breaks = self.server.answers.pop(0)
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if breaks else content)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its own name
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[BadServer]:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with BadServer() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def bucket(server: BadServer) -> Bucket:
    endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    return Bucket("bucket", S3Settings(endpoint_url=endpoint, region=REGION, attempts=2))


@pytest.mark.parametrize("status", [500, 503, 429])
def test_what_fails_for_a_moment_is_asked_again(server: BadServer, bucket: Bucket, status: int) -> None:
    server.answers = [(status, SLOW_DOWN, False), (200, b"content", False)]
    assert bucket.read("name") == b"content"


def test_what_goes_on_failing_ends_after_so_many_attempts(server: BadServer, bucket: Bucket) -> None:
    server.answers = [(503, SLOW_DOWN, False)] * 9
    with pytest.raises(BucketUnavailable, match=r"bucket at http.*some/name .503 SlowDown.*fewer workers"):
        bucket.read("some/name")
    assert server.asked == 2


def test_what_is_forbidden_is_not_asked_again(server: BadServer, bucket: Bucket) -> None:
    server.answers = [(403, DENIED, False)] * 9
    with pytest.raises(BucketRefused, match=r"refused reading of some/name .403 AccessDenied: Access Denied"):
        bucket.read("some/name")
    assert server.asked == 1


def test_content_that_breaks_off_is_read_again(server: BadServer, bucket: Bucket) -> None:
    server.answers = [(200, b"content", True), (200, b"content", True), (200, b"content", False)]
    assert bucket.read("name") == b"content"
    server.answers = [(200, b"content", True)] * 9
    with pytest.raises(BucketUnavailable, match="name"):
        bucket.read("name")
