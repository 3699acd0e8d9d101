"""`facewarden up` as a user runs it, and as misfortune does."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from cli.up.supervisor import start_time
from storage.engine import connect, transaction
from storage.read import workload
from tests.ports import free_port
from tests.waiting import PATIENCE_SECONDS, ended, until


class Installation:
    """One home folder and what runs in it."""

    def __init__(self, folder: Path, weights: Path) -> None:
        self.folder, self.bucket = folder, folder / "bucket"
        self.bucket.mkdir(parents=True)
        self.environment = os.environ | {
            "FACEWARDEN_HOME": str(folder / "home"),
            "FACEWARDEN_BUCKET": str(self.bucket),
            "FACEWARDEN_WEIGHTS": str(weights),
            "FACEWARDEN_BACKEND": "fp32",
            "FACEWARDEN_LIME__SAMPLES": "20",
            "FACEWARDEN_SCORING__FLAGGED_FRAMES": "1",
            "FACEWARDEN_SAMPLING__MAX_FRAMES": "4",
            "FACEWARDEN_SAMPLING__MIN_FRAMES": "4",
            "FACEWARDEN_INGEST__POLL_SECONDS": "0.2",
            "FACEWARDEN_INGEST__SETTLE_SECONDS": "0.3",
            "FACEWARDEN_INGEST__RECONCILE_SECONDS": "1",
            "FACEWARDEN_WORKER__LEASE_SECONDS": "4",
            "FACEWARDEN_WORKER__MAX_ATTEMPTS": "8",
            "FACEWARDEN_REVIEW__PORT": str(free_port()),
        }
        self.process: subprocess.Popen[bytes] | None = None

    def up(self) -> None:
        with (self.folder / "up.log").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli", "up"],
                env=self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.until(lambda: len(self.pids()) == 6, "all six children run")

    def run(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "cli", *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def pids(self) -> dict[str, int]:
        try:
            state = json.loads((self.folder / "home/run/children.json").read_text())
        except (OSError, ValueError):
            return {}
        return {
            name: entry["pid"] for name, entry in state.items() if start_time(entry["pid"]) == entry["start"]
        }

    def until(
        self, happened: Callable[[], Any], what: str, moving: Callable[[], object] = lambda: None
    ) -> None:
        until(happened, what, moving=moving, story=lambda: (self.folder / "up.log").read_text()[-2000:])

    def results(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.run("results", "--json", "--limit", "1000").splitlines()]

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            ended(self.process)


@pytest.fixture
def installation(tmp_path: Path, checkpoint: Path) -> Iterator[Installation]:
    made = Installation(tmp_path, checkpoint)
    yield made
    made.end()


def gone(pids: dict[str, int]) -> bool:
    return all(start_time(pid) is None for pid in pids.values())


def test_ten_videos_survive_the_killing_of_everything(installation: Installation, face_clip: Path) -> None:
    installation.up()
    content = face_clip.read_bytes()
    for number in range(10):
        target = installation.bucket / f"clip {number:02}.mp4"
        # A trailing `free` box makes each file content of its own and leaves the film as it is.
        partial = target.with_name(target.name + ".part")
        partial.write_bytes(content + b"\x00\x00\x00\x0cfree" + number.to_bytes(4, "big"))
        partial.rename(target)
    installation.until(lambda: sum(counts(installation).screenings.values()) >= 3, "three videos taken in")
    for victim in ("worker-screen", "valkey", "ingest", "worker-explain", "review"):
        before = installation.pids()[victim]
        os.kill(before, signal.SIGKILL)
        installation.until(lambda v=victim, b=before: installation.pids().get(v, b) != b, f"{victim} is back")
        if victim == "worker-screen":
            Redis.from_url(json.loads(installation.run("status", "--json"))["redis_url"]).flushall()
    # However slow the machine is: it goes on, step by step.
    installation.until(
        lambda: not counts(installation).busy, "all are done", moving=lambda: counts(installation)
    )
    installation.run("status", "--wait", "--timeout", str(PATIENCE_SECONDS))
    results = installation.results()
    assert len(results) == 10
    assert {result["status"] for result in results} == {"done"}
    assert len({result["sha256"] for result in results}) == 10
    flagged = [json.loads(line) for line in installation.run("results", "--flagged", "--json").splitlines()]
    assert len(flagged) == 10
    for result in flagged:
        assert result["score"] > 0
        assert result["tracks"][0]["start_seconds"] <= result["tracks"][0]["end_seconds"]
        for frame in result["flagged_frames"]:
            assert len(frame["box"]) == 4
            assert len(frame["explanation_ids"]) == 2


def counts(installation: Installation) -> workload.Counts:
    """Read from the database: a command at every look would take the processor from the workers."""
    engine = connect(f"sqlite:///{installation.folder}/home/facewarden.sqlite3")
    try:
        with transaction(engine) as session:
            return workload.counts(session)
    finally:
        engine.dispose()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_one_is_refused_and_one_signal_stops_all(
    installation: Installation, number: signal.Signals
) -> None:
    installation.up()
    second = subprocess.run(
        [sys.executable, "-m", "cli", "up"],
        env=installation.environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert second.returncode == 1
    assert "FACEWARDEN_HOME: another `facewarden up` runs" in second.stderr
    pids = installation.pids()
    assert installation.process is not None
    installation.process.send_signal(number)
    assert ended(installation.process) == 0
    assert gone(pids)


def sign_in(installation: Installation, password: str) -> httpx.Response:
    address = f"http://127.0.0.1:{installation.environment['FACEWARDEN_REVIEW__PORT']}"
    with httpx.Client(base_url=address) as browser:
        installation.until(lambda: answers(browser), "the review service answers")
        form = browser.get("/sign-in").text
        token = re.search(r'name="csrf_token" value="([^"]+)"', form)
        assert token is not None
        fields = {"name": "admin", "password": password, "csrf_token": token[1]}
        return browser.post("/sign-in", data=fields)


def answers(browser: httpx.Client) -> bool:
    try:
        return browser.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False


def test_a_killed_supervisor_leaves_no_orphan_and_can_start_again(installation: Installation) -> None:
    installation.up()
    shown = installation.folder / "up.log"
    installation.until(lambda: "password" in shown.read_text(), "the first start shows a password")
    (password,) = re.findall(r"^ +password +(\S+)$", shown.read_text(), re.MULTILINE)
    assert sign_in(installation, password).headers["location"] == "/account"
    pids = installation.pids()
    assert installation.process is not None
    installation.process.kill()
    installation.process.wait()
    installation.up()
    installation.until(lambda: gone(pids), "the old children are gone")
    assert sign_in(installation, password).status_code == 303  # the account is still there
    assert shown.read_text().count(password) == 1  # and is shown no second time
    assert set(installation.pids()) == {
        "valkey",
        "ingest",
        "worker-screen",
        "worker-explain",
        "deliver",
        "review",
    }
