"""The ingest process itself, started, dropped on, killed and stopped."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.ingest.site import MP4, Site
from tests.waiting import ended, until

ROOT = Path(__file__).resolve().parents[3]


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


def metric_files(site: Site) -> list[Path]:
    return list((site.settings.home / "metrics").glob("*.prom"))


def brought_back(site: Site) -> float:
    """What the running process says; the killed one's file may still be there, and says nothing of it."""
    texts = [file.read_text() for file in metric_files(site)]
    found = [
        re.findall(r'repairs_total\{kind="enqueued",process="ingest_[^"]+"\} (\S+)', text) for text in texts
    ]
    return max((float(number) for numbers in found for number in numbers), default=0.0)


def drop(site: Site, numbers: range) -> None:
    for number in numbers:
        partial = site.bucket / f"{number}.mp4.part"
        partial.write_bytes(MP4 + number.to_bytes(4, "big"))
        partial.rename(site.bucket / f"{number}.mp4")


def test_kill_9_flushall_and_sigterm(site: Site, start: Callable[[], subprocess.Popen[bytes]]) -> None:
    first = start()
    drop(site, range(10))
    until(lambda: len(site.screenings()) >= 3, "some are taken")
    first.kill()
    first.wait()
    drop(site, range(10, 20))
    second = start()
    until(lambda: len(site.screenings()) == 20, "all are taken")
    assert len(site.sightings()) == 20
    until(lambda: site.depth() == 20, "all are queued")
    site.redis.flushall()
    until(lambda: site.depth() == 20, "all are queued again")
    (site.bucket / "link.mp4").symlink_to("/etc/passwd")
    (site.bucket / "text.mp4").write_text("no film")
    until(lambda: len(site.sightings()) == 22, "the bad ones are noted")
    until(lambda: brought_back(site) >= 20, "the metrics say so")
    second.send_signal(signal.SIGTERM)
    assert ended(second) == 0
    assert not metric_files(site), "the killed one's is gone too"
    assert [screening.attempt for screening in site.screenings()] == [1] * 21


def test_sigterm_does_not_wait_for_the_end_of_a_long_look(
    site: Site, start: Callable[[], subprocess.Popen[bytes]]
) -> None:
    drop(site, range(1000))
    process = start()
    until(lambda: bool(site.screenings()), "the first are taken")
    process.send_signal(signal.SIGTERM)
    assert ended(process) == 0
    assert len(site.screenings()) < 1000
