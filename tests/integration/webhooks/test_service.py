"""`facewarden deliver`, killed while it sends: nothing is lost, and the receiver knows what it had."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import update

from core.settings import Settings
from core.signals import DeliveryStatus
from storage.engine import connect, reading, transaction
from storage.migrate import upgrade
from storage.tables import WebhookDelivery
from storage.webhooks import endpoints
from tests.integration.webhooks.conftest import House
from tests.receiver import Receiver
from tests.waiting import ended, until

Start = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Start:
    environment = os.environ | {
        "FACEWARDEN_HOME": str(settings.home),
        "FACEWARDEN_WEBHOOKS__PLAIN_HTTP": "true",
        "FACEWARDEN_WEBHOOKS__PRIVATE_NETWORKS": "127.0.0.0/8",
        "FACEWARDEN_WEBHOOKS__POLL_SECONDS": "0.05",
    }

    def started() -> "subprocess.Popen[bytes]":
        with (tmp_path / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "cli", "deliver"], env=environment, stdout=log, stderr=log
            )

    return started


def test_sigkill_loses_no_event(settings: Settings, start: Start) -> None:
    engine = connect(settings.sql_url)
    upgrade(engine)
    house, wake = House(engine), threading.Event()
    receiver = Receiver(moods=[wake] * 4)
    endpoint = house.subscribe(receiver)
    watched = [house.screen() for _ in range(6)]
    for video in watched:
        house.decide(video)
    with receiver.up():
        first = start()
        until(lambda: receiver.requests >= 4, "the first process sends")
        first.kill()
        ended(first)
        wake.set()  # the receiver takes in what it was sent, and can tell nobody
        until(lambda: len(receiver.events) >= 4, "the receiver has them")
        with transaction(engine) as session:  # as time would
            expired = house.clock(session).replace(year=2000)
            held = WebhookDelivery.lease_owner.is_not(None)
            session.execute(update(WebhookDelivery).where(held).values(lease_expires_at=expired))
        second = start()
        files = settings.home / "metrics"
        until(lambda: len(list(files.iterdir())) == 1, "the second's metrics, and not those of the killed")

        def all_there() -> bool:
            with reading(engine) as session:
                return endpoints.get(session, endpoint).deliveries[DeliveryStatus.DELIVERED] == 18

        until(all_there, "everything is delivered", moving=lambda: receiver.requests)
        second.send_signal(signal.SIGTERM)
        assert ended(second) == 0
    assert not list(files.iterdir())
    assert receiver.requests == 18 + 4  # four came twice, under ids that the receiver knew
    assert receiver.faults == []
    assert len(receiver.events) == 18
    for video in watched:
        assert receiver.types(video) == ["video.screened", "video.flagged", "decision.made"]
    engine.dispose()
