"""Bulk work waits while the queue is deep, and lets everything through while Redis is away."""

import pytest
from pydantic import SecretStr

from core.priorities import Priority
from ingest import backlog
from ingest.backlog import Backlog
from tests.integration.ingest.site import MP4, Site
from tests.ports import free_port


def test_it_waits_while_the_queue_of_its_priority_is_deep(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest = site.settings.ingest.model_copy(update={"queue_limit": 3})
    settings = site.settings.model_copy(update={"ingest": ingest})
    told: list[int | None] = []
    gate = Backlog(settings, Priority.BACKFILL, told.append)
    monkeypatch.setattr(backlog.time, "sleep", lambda _: site.redis.flushall())
    for number in range(7):
        gate.wait()
        (site.bucket / f"{number}.mp4").write_bytes(MP4 + bytes([number]))
        site.register(f"{number}.mp4", priority=Priority.BACKFILL)
    assert told == [3, None, 3, None]
    other = Backlog(settings, Priority.NORMAL, told.append)
    other.wait()
    assert len(told) == 4


def test_without_redis_nothing_waits(site: Site) -> None:
    gone = SecretStr(f"redis://127.0.0.1:{free_port()}")
    settings = site.settings.model_copy(update={"redis_url": gone})
    gate = Backlog(settings, Priority.NORMAL, lambda _: None)
    for _ in range(200):
        gate.wait()
