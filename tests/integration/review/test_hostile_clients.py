"""Clients that never finish, at the sockets of the running service."""

import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import pytest

from core.roles import Role, Scope
from tests.integration.review.house import House, open_house
from tests.integration.review.test_server import answers, free_port

MOST = 24  # connections of one address
STREAMS = 3  # of one account
LONG = 60  # seconds: far more than any limit set below


@dataclass(frozen=True, kw_only=True)
class Served:
    house: House
    port: int

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=LONG)

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=LONG)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder, port = tmp_path_factory.mktemp("served"), free_port()
    limits = {
        "HEADER_SECONDS": "1",
        "BODY_SECONDS": "1",
        "BODY_BYTES_PER_SECOND": "1000",
        "READER_SECONDS": "2",
        "CONNECTIONS_PER_ADDRESS": str(MOST),
        "STREAMS_PER_ACCOUNT": str(STREAMS),
        "PORT": str(port),
    }
    environment = os.environ | {f"FACEWARDEN_REVIEW__{name}": value for name, value in limits.items()}
    environment["FACEWARDEN_HOME"] = str(folder / "home")
    with open_house(folder) as house, (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "review"], env=environment, stdout=log, stderr=log
        )
        try:
            made = Served(house=house, port=port)
            with made.client() as client:
                while not answers(client):
                    assert process.poll() is None, (folder / "log").read_text()
                    time.sleep(0.1)
            yield made
            assert "Traceback" not in (folder / "log").read_text()
        finally:
            process.kill()
            process.wait()


def dribble(connection: socket.socket, piece: bytes, every: float = 0.2) -> bytes:
    """What comes back until the other side closes, while a piece is sent now and then."""
    told = b""
    while True:
        ready, _, _ = select.select([connection], [], [], every)
        try:
            if ready:
                part = connection.recv(65536)
                if not part:
                    return told
                told += part
            elif piece:
                connection.sendall(piece)
        except OSError:
            return told


@pytest.mark.parametrize(
    ("begun", "piece"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n", b""),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"X-A: b\r\n"),
        (b"GET /", b"a"),
        # The second request of a connection, after a first that was answered.
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\n", b"X-A: b\r\n"),
    ],
)
def test_headers_that_never_end_are_not_waited_for(served: Served, begun: bytes, piece: bytes) -> None:
    with ExitStack() as stack:
        held = [stack.enter_context(served.connect()) for _ in range(8)]
        for connection in held:
            connection.sendall(begun)
        told = [dribble(connection, piece) for connection in held]
    # Each is closed. Between two requests the wait for the next one may end first, without a word.
    known = b" 200 " if b"healthz" in begun else b" 408 "
    assert all(known in each for each in told), told


BODY = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n%s"


def test_a_body_that_never_ends_is_not_waited_for(served: Served) -> None:
    bearer = served.house.bearer(served.house.account("robot", Role.SERVICE), Scope)
    header = f"Authorization: {bearer['Authorization']}\r\n".encode()
    for length in (b"Content-Length: 100000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"):
        for begun, piece in ((b"", b""), (b"1\r\na\r\n", b"1\r\na\r\n")):
            with served.connect() as connection:
                connection.sendall(BODY % (b"/v1/uploads?name=x", header + length) + begun)
                assert b"HTTP/1.1 408 " in dribble(connection, piece)


def test_who_goes_on_sending_after_the_answer_is_cut_off(served: Served) -> None:
    with served.connect() as connection:
        connection.sendall(BODY % (b"/v1/uploads", b"Content-Length: 100000000\r\n\r\n"))
        assert b"HTTP/1.1 401 " in dribble(connection, b"a" * 3000)


def test_a_slow_body_that_goes_on_is_taken(served: Served) -> None:
    """Slower than the stretch that is measured, but at its pace."""
    bearer = served.house.bearer(served.house.account("robot", Role.SERVICE), Scope)
    content = b"\x89PNG\r\n\x1a\n" + b"\0" * 11_992

    def pieces() -> Iterator[bytes]:
        for at in range(0, len(content), 1000):
            yield content[at : at + 1000]
            time.sleep(0.25)

    with served.client() as client:
        answer = client.post("/v1/uploads?name=x.png", content=pieces(), headers=bearer)
    assert answer.status_code == 201, answer.text


def test_who_reads_nothing_is_cut_off(served: Served) -> None:
    with served.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            for _ in range(400):  # answers of some 50 kB each, into a buffer that nobody empties
                connection.sendall(b"GET /static/htmx.min.js HTTP/1.1\r\nHost: localhost\r\n\r\n")
                time.sleep(0.01)
            deadline = time.monotonic() + LONG
            while time.monotonic() < deadline:
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                time.sleep(0.2)
        except OSError:
            return  # reset
    pytest.fail("the connection is still open")


def test_an_address_has_so_many_connections_and_no_more(served: Served) -> None:
    with ExitStack() as stack:
        told = []
        for _ in range(MOST + 8):
            connection = stack.enter_context(served.connect())
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            told.append(connection)
        first = [connection.recv(12) for connection in told]
    assert first.count(b"HTTP/1.1 429") >= 8
    assert first.count(b"HTTP/1.1 200") >= MOST // 2
    with served.client() as client:  # there is room again once they have gone
        deadline = time.monotonic() + LONG
        while not answers(client):
            assert time.monotonic() < deadline


def test_an_account_has_so_many_streams_and_no_more(served: Served) -> None:
    house = served.house
    ann, bob = (house.bearer(house.account(name), [Scope.READ]) for name in ("ann", "bob"))
    with ExitStack() as stack, served.client() as client:
        streams = [
            stack.enter_context(stack.enter_context(served.client()).stream("GET", "/events", headers=ann))
            for _ in range(STREAMS)
        ]
        assert [stream.status_code for stream in streams] == [200] * STREAMS
        refused = client.get("/events", headers=ann | {"Accept": "text/event-stream"})
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) > 0
        assert "FACEWARDEN_REVIEW__STREAMS_PER_ACCOUNT" in refused.text
        with client.stream("GET", "/events", headers=bob) as other:
            assert other.status_code == 200
        streams[0].close()
        deadline = time.monotonic() + LONG
        while True:  # its place is free as soon as the service sees that the client has left
            with served.client() as again, again.stream("GET", "/events", headers=ann) as stream:
                if stream.status_code == 200:
                    break
            assert time.monotonic() < deadline


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET http://evil.example/healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.0\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: localhost\r\n\r\n",
    ],
)
def test_no_request_line_leads_round_the_names(served: Served, request_line: bytes) -> None:
    with served.connect() as connection:
        connection.sendall(request_line)
        assert connection.recv(12) in {b"HTTP/1.1 400", b"HTTP/1.1 404"}
