"""The signs of life over HTTP, on the real Valkey."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from redis import Redis

from core import metrics, queues
from core.errors import SettingsError
from core.priorities import Priority
from core.settings import Settings, SignsSettings
from storage.engine import connect
from storage.migrate import upgrade
from storage.signs import server
from storage.signs.server import shown
from tests.ports import free_port

TOKEN = "a-token-of-operators"  # noqa: S105  of these tests
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def site(settings: Settings, valkey_url: str) -> Iterator[Settings]:
    yield settings.model_copy(
        update={
            "redis_url": SecretStr(valkey_url),
            "signs": SignsSettings(port=0, token=SecretStr(TOKEN)),
        }
    )
    Redis.from_url(valkey_url).flushall()


def samples(text: str) -> dict[tuple[str, ...], float]:
    """By name and labels, which come in the order of their names."""
    return {
        (each.name, *each.labels.values()): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
    }


def test_a_process_becomes_ready_and_tells_operators_what_is_missing(site: Settings) -> None:
    loaded = threading.Event()
    with (
        shown(site, "worker screen", loaded=loaded) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        assert client.get("/healthz").json() == {"status": "ok"}
        unready = client.get("/readyz", headers=BEARER)
        assert unready.status_code == 503
        checks = unready.json()["checks"]
        assert "facewarden migrate" in checks["database"]
        assert (checks["queue"], checks["objects"], checks["model"]) == ("ok", "ok", "not loaded yet")
        assert client.get("/readyz").json() == {"status": "not ready"}

    engine = connect(site.sql_url)
    upgrade(engine)
    engine.dispose()
    loaded.set()
    with shown(site, "worker screen", loaded=loaded) as port:
        ready = httpx.get(f"http://127.0.0.1:{port}/readyz")
        assert (ready.status_code, ready.json()) == (200, {"status": "ok"})


def test_metrics_are_told_to_who_brings_the_token(site: Settings) -> None:
    redis = queues.connect(site.queue_url)
    for number in (1, 2):
        queues.enqueue_screen(redis, number, 1, job_seconds=60, priority=Priority.BACKFILL)
    redis.hset(
        "rq:job:" + redis.lindex("rq:queue:screen-backfill", 0).decode(),
        "enqueued_at",
        "2026-01-01T00:00:00Z",
    )
    metrics.FACES.inc(3)
    with (
        shown(site, "ingest") as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        for wrong in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
            refused = client.get("/metrics", headers=wrong)
            assert refused.status_code == 401
            assert "facewarden_" not in refused.text
        told = samples(client.get("/metrics", headers=BEARER).text)
        assert client.get("/accounts", headers=BEARER).status_code == 404
        assert client.post("/metrics", headers=BEARER).status_code == 501
    assert told["facewarden_queue_depth", "backfill", "screen"] == 2
    assert told["facewarden_queue_depth", "interactive", "screen"] == 0
    assert told["facewarden_queue_oldest_seconds", "backfill", "screen"] > 24 * 3600
    assert told["facewarden_queue_oldest_seconds", "normal", "explain"] == 0
    assert told["facewarden_queue_up",] == 1
    assert told["facewarden_faces_total",] >= 3
    assert told["process_resident_memory_bytes",] > 0


def test_without_redis_the_other_numbers_are_still_told(site: Settings) -> None:
    gone = site.model_copy(update={"redis_url": SecretStr(f"redis://:secret@127.0.0.1:{free_port()}/0")})
    with shown(gone, "review") as port:
        told = httpx.get(f"http://127.0.0.1:{port}/metrics", headers=BEARER).text
        unready = httpx.get(f"http://127.0.0.1:{port}/readyz", headers=BEARER)
    assert samples(told)["facewarden_queue_up",] == 0
    assert "facewarden_queue_depth" not in told
    assert "facewarden_faces_total" in told
    assert "Redis" in unready.json()["checks"]["queue"]
    assert "secret" not in unready.text


def test_opened_on_purpose(site: Settings) -> None:
    opened = site.model_copy(update={"signs": SignsSettings(port=0, open=True)})
    with shown(opened, "review") as port:
        assert httpx.get(f"http://127.0.0.1:{port}/metrics").status_code == 200
        assert "checks" in httpx.get(f"http://127.0.0.1:{port}/readyz").json()


def test_nothing_is_shown_without_a_port(settings: Settings) -> None:
    with shown(settings, "ingest") as port:
        assert port is None


def test_processes_of_one_machine_take_a_port_each_until_there_is_none(site: Settings) -> None:
    first = free_port()
    signs = SignsSettings(port=first, ports=1, token=SecretStr(TOKEN))
    one = site.model_copy(update={"signs": signs})
    more = site.model_copy(update={"signs": signs.model_copy(update={"ports": 16})})
    with shown(one, "ingest") as taken:
        assert taken == first
        with shown(more, "review") as other:
            assert other is not None
            assert first < other < first + 16
        with pytest.raises(SettingsError, match=r"all 1 ports of 127\.0\.0\.1"), shown(one, "review"):
            pass
    elsewhere = signs.model_copy(update={"host": "192.0.2.1"})
    with (
        pytest.raises(SettingsError, match=r"192\.0\.2\.1"),
        shown(site.model_copy(update={"signs": elsewhere}), "review"),
    ):
        pass


def test_clients_that_dawdle_are_few_and_hold_up_nothing(
    site: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MOST_CLIENTS", 2)
    with shown(site, "review") as port:
        address = ("127.0.0.1", port)
        with socket.create_connection(address) as one, socket.create_connection(address) as two:
            one.sendall(b"GET /healthz")
            two.sendall(b"GET /healthz")
            with socket.create_connection(address) as third:
                third.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
                with suppress(ConnectionResetError):
                    assert third.recv(1) == b""
            one.sendall(b" HTTP/1.0\r\n\r\n")
            assert one.recv(12) == b"HTTP/1.0 200"
