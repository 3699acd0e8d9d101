"""The ingest process itself, started, dropped on, killed and stopped."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.ingest.site import MP4, Site

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_SECONDS = 60.0  # a bound for hanging, not a measure of speed


def wait_for(what: str, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.05)


@pytest.fixture
def start(site: Site) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    settings, started = site.settings, []
    environment = os.environ | {
        "FACEWARDEN_HOME": str(settings.home),
        "FACEWARDEN_BUCKET": str(settings.bucket),
        "FACEWARDEN_WEIGHTS": str(settings.weights),
        "FACEWARDEN_REDIS_URL": settings.queue_url,
        "FACEWARDEN_INGEST__POLL_SECONDS": "0.05",
        "FACEWARDEN_INGEST__SETTLE_SECONDS": "0",
        "FACEWARDEN_INGEST__RECONCILE_SECONDS": "0.2",
    }

    def run() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "ingest", "--watch"],
            cwd=ROOT,
            env=environment,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def drop(site: Site, numbers: range) -> None:
    for number in numbers:
        partial = site.bucket / f"{number}.mp4.part"
        partial.write_bytes(MP4 + number.to_bytes(4, "big"))
        partial.rename(site.bucket / f"{number}.mp4")


def test_kill_9_flushall_and_sigterm(site: Site, start: Callable[[], subprocess.Popen[bytes]]) -> None:
    first = start()
    drop(site, range(10))
    wait_for("some are taken", lambda: len(site.screenings()) >= 3)
    first.kill()
    first.wait()
    drop(site, range(10, 20))
    second = start()
    wait_for("all are taken", lambda: len(site.screenings()) == 20)
    assert len(site.sightings()) == 20
    wait_for("all are queued", lambda: site.depth() == 20)
    site.redis.flushall()
    wait_for("all are queued again", lambda: site.depth() == 20)
    (site.bucket / "link.mp4").symlink_to("/etc/passwd")
    (site.bucket / "text.mp4").write_text("no film")
    wait_for("the bad ones are noted", lambda: len(site.sightings()) == 22)
    second.send_signal(signal.SIGTERM)
    assert second.wait(PATIENCE_SECONDS) == 0
    metrics = (site.settings.home / "metrics" / "facewarden_ingest.prom").read_text()
    (brought_back,) = re.findall(r'repairs_total\{kind="enqueued"\} (\S+)', metrics)
    assert float(brought_back) >= 20
    assert [screening.attempt for screening in site.screenings()] == [1] * 21


def test_sigterm_does_not_wait_for_the_end_of_a_long_look(
    site: Site, start: Callable[[], subprocess.Popen[bytes]]
) -> None:
    drop(site, range(1000))
    process = start()
    wait_for("the first are taken", lambda: bool(site.screenings()))
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_SECONDS) == 0
    assert len(site.screenings()) < 1000
