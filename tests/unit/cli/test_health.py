"""What a health check says of a process."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from cli.health import ask
from core.errors import ServiceUnavailable, SettingsError
from core.settings import SignsSettings
from tests.ports import free_port

TOKEN = "a-token-of-some-length"  # noqa: S105


@contextmanager
def answering(status: int, checks: dict[str, str]) -> Iterator[SignsSettings]:
    """A process that says so to who brings the token."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()
            self.wfile.write(json.dumps({"checks": checks} if known else {}).encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield SignsSettings(port=server.server_address[1], host="0.0.0.0", token=TOKEN)  # type: ignore[arg-type]  # noqa: S104
        finally:
            server.shutdown()
            thread.join()


def test_one_that_is_ready() -> None:
    with answering(200, {"database": "ok"}) as signs:
        ask(signs)


def test_what_is_missing_is_named() -> None:
    with (
        answering(503, {"database": "ok", "model": "not loaded yet"}) as signs,
        pytest.raises(ServiceUnavailable, match="model: not loaded yet") as raised,
    ):
        ask(signs)
    assert "database" not in str(raised.value)


def test_one_that_does_not_answer() -> None:
    with pytest.raises(ServiceUnavailable, match="refused"):
        ask(SignsSettings(port=free_port(), token=TOKEN))  # type: ignore[arg-type]


def test_one_that_shows_no_signs() -> None:
    with pytest.raises(SettingsError, match="FACEWARDEN_SIGNS__PORT"):
        ask(SignsSettings())
