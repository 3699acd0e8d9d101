"""The service as a process."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from core.roles import Role, Scope
from tests.integration.review.house import House, open_house
from tests.ports import free_port
from tests.waiting import ended

SIGNS_PORT = free_port()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[House, httpx.Client, subprocess.Popen[bytes]]]:
    """The installation in a folder, a client of the process that serves it, and the process."""
    port = free_port()
    environment = os.environ | {
        "FACEWARDEN_HOME": str(tmp_path / "home"),
        "FACEWARDEN_REVIEW__PORT": str(port),
        "FACEWARDEN_REVIEW__PROXIES": "127.0.0.1",
        "FACEWARDEN_SIGNS__PORT": str(SIGNS_PORT),
        "FACEWARDEN_SIGNS__OPEN": "true",
    }
    with open_house(tmp_path) as house, (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "review"], env=environment, stdout=log, stderr=log
        )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
                while not answers(client):
                    assert process.poll() is None, (tmp_path / "log").read_text()
                    time.sleep(0.1)
                yield house, client, process
        finally:
            process.kill()
            process.wait()


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False


def test_it_serves_behind_a_proxy_and_stops_though_a_stream_is_open(
    served: tuple[House, httpx.Client, subprocess.Popen[bytes]],
) -> None:
    house, client, process = served
    bearer = house.bearer(house.account("boss", Role.ADMIN), Scope)
    assert client.get("/v1/me", headers=bearer).json()["name"] == "boss"
    proxied = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    form = client.get("/sign-in", headers=proxied)
    assert "Secure" in form.headers["Set-Cookie"]
    assert "Server" not in form.headers
    signs = httpx.get(f"http://127.0.0.1:{SIGNS_PORT}/readyz").json()
    assert signs["checks"]["database"] == "ok"
    with client.stream("GET", "/events", headers=bearer) as stream:
        lines = stream.iter_lines()
        assert any(re.match("event: counts", line) for line in lines)
        process.send_signal(signal.SIGTERM)
        assert ended(process) in {0, -signal.SIGTERM}
        list(lines)  # it ended, and was not cut off
