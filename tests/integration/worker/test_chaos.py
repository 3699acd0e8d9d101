"""Killing in the middle: workers, their decoders, the queue's memory, a stored file. None lost, none twice.

A process is caught in the middle for certain: it is stopped (SIGSTOP) the moment that SQL says it has begun,
and only if SQL says so still, now that it cannot go on, has it been caught.
"""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest
from sqlalchemy import Engine, func, select

from core import queues
from core.errors import FacewardenError
from core.outcomes import ExplainStatus, ScreeningStatus
from core.settings import Settings
from ingest.reconciler import Reconciler
from ingest.registration import Registrar
from storage import audit, sweep
from storage.engine import connect, reading
from storage.migrate import upgrade
from storage.objects.folder import FolderStore
from storage.tables import AuditEvent, ExplanationRow, FlaggedFrame, Screening, utc_now
from tests.waiting import ended, until
from worker.process import EXPLAIN_NICENESS

ROOT = Path(__file__).resolve().parents[3]
LEASE_SECONDS = 2.0
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  where it lies if it has a name
BUSY_SECONDS = 1  # that a writer waits for another before it says that the database is locked


class Crew:
    """Worker processes, and the test as the ingest process that keeps queue and database together."""

    def __init__(self, settings: Settings, engine: Engine, folder: Path) -> None:
        self.settings, self.engine, self.folder = settings, engine, folder
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self._ended = threading.Event()
        self._reconciling = threading.Thread(target=self._reconcile)
        self._reconciling.start()

    def start(self, queue: str) -> None:
        names = {
            "FACEWARDEN_HOME": str(self.settings.home),
            "FACEWARDEN_DATABASE_URL": self.settings.sql_url,
            "FACEWARDEN_REDIS_URL": self.settings.queue_url,
            "FACEWARDEN_WEIGHTS": str(self.settings.weights),
            "FACEWARDEN_BACKEND": "fp32",
            "FACEWARDEN_LIME__SAMPLES": "40",
            "FACEWARDEN_SCORING__FLAGGED_FRAMES": "1",
            "FACEWARDEN_WORKER__LEASE_SECONDS": str(LEASE_SECONDS),
        }
        with (self.folder / f"{queue}.log").open("ab") as output:
            self.workers[queue] = subprocess.Popen(
                [sys.executable, "-m", "cli", "worker", "--queue", queue],
                cwd=ROOT,
                env=os.environ | names,
                stdout=output,
                stderr=output,
            )

    def log(self, queue: str) -> str:
        return (self.folder / f"{queue}.log").read_text()

    def kill(self, queue: str) -> None:
        """With -9, in the middle; what it had started must go with it."""
        worker = self.workers[queue]
        below = psutil.Process(worker.pid).children(recursive=True)
        worker.kill()
        worker.wait()
        until(lambda: not any(process.is_running() for process in below), "its decoder is gone")
        self.start(queue)

    def caught(self, queue: str, busy: Callable[[], bool]) -> None:
        """Stop the worker while it is `busy`."""

        def stopped_in_the_middle() -> bool:
            if not busy():
                return False
            self.workers[queue].send_signal(signal.SIGSTOP)
            if busy():
                return True
            self.workers[queue].send_signal(signal.SIGCONT)
            return False

        until(stopped_in_the_middle, f"{queue} is caught", story=lambda: self.log(queue), look=lambda: None)

    def go_on(self, queue: str) -> None:
        self.workers[queue].send_signal(signal.SIGCONT)

    def screening(self) -> bool:
        with reading(self.engine) as session:
            return bool(
                session.scalar(
                    select(func.count()).where(
                        Screening.status == ScreeningStatus.SCREENING, Screening.lease_expires_at > utc_now()
                    )
                )
            )

    def explaining(self) -> bool:
        with reading(self.engine) as session:
            return bool(session.scalar(select(func.count()).where(FlaggedFrame.lease_expires_at > utc_now())))

    def screenings(self) -> list[Screening]:
        with reading(self.engine) as session:
            return list(session.scalars(select(Screening).order_by(Screening.id)))

    def all_done(self) -> bool:
        with reading(self.engine) as session:
            left = select(func.count()).where(FlaggedFrame.explain_status == ExplainStatus.QUEUED)
            explained = not session.scalar(left)
        ends = {ScreeningStatus.DONE, ScreeningStatus.FAILED}
        return explained and all(row.status in ends for row in self.screenings())

    def end(self) -> None:
        self._ended.set()
        self._reconciling.join()
        for worker in self.workers.values():
            worker.send_signal(signal.SIGCONT)
            worker.terminate()
        for worker in self.workers.values():
            ended(worker)

    def _reconcile(self) -> None:
        reconciler = Reconciler(self.settings, self.engine)
        while not self._ended.wait(self.settings.ingest.reconcile_seconds):
            try:
                reconciler.run_once()
            except FacewardenError:
                continue  # as the ingest process does


@pytest.fixture
def crew(system: Settings, tmp_path: Path) -> Iterator[Crew]:
    url = f"sqlite:///{tmp_path / 'chaos.sqlite3'}?timeout={BUSY_SECONDS}"
    changes = {
        "database_url": url,
        "worker": {"lease_seconds": LEASE_SECONDS},
        "ingest": {"reconcile_seconds": 0.2},
    }
    settings = Settings(**(system.model_dump(exclude_unset=True) | changes), _env_file=None)
    engine = connect(url)
    upgrade(engine)
    made = Crew(settings, engine, tmp_path)
    yield made
    made.end()
    engine.dispose()


def take_in(crew: Crew, clip: Path, number: int) -> None:
    """One more video: a trailing `free` box makes content of its own and leaves the film as it is."""
    path = crew.folder / f"clip {number}.mp4"
    shutil.copy(clip, path)
    with path.open("ab") as file:
        file.write(b"\x00\x00\x00\x0cfree" + number.to_bytes(4, "big"))
    registrar = Registrar(crew.settings, crew.engine, FolderStore(crew.settings.objects_folder))
    assert registrar.register(path, name=path.name, source="test").intake == "queued"


@pytest.mark.timeout(900)
def test_killing_and_locking_in_the_middle_loses_none_and_makes_none_twice(
    crew: Crew, face_clip: Path, new_children: Callable[[], list[psutil.Process]]
) -> None:
    shared = set(SHARED_MEMORY.iterdir())
    objects = FolderStore(crew.settings.objects_folder)
    take_in(crew, face_clip, 0)
    (vanishing,) = list(objects.stored())
    objects.path(vanishing.key).unlink()
    for number in range(1, 5):
        take_in(crew, face_clip, number)
    crew.start(queues.SCREEN)
    crew.start(queues.EXPLAIN)
    until(lambda: crew.screenings()[0].status == ScreeningStatus.FAILED, "the vanished one is missed")

    crew.caught(queues.SCREEN, crew.screening)
    crew.kill(queues.SCREEN)

    crew.caught(queues.SCREEN, crew.screening)
    queues.connect(crew.settings.queue_url).flushall()
    for decoder in psutil.Process(crew.workers[queues.SCREEN].pid).children():
        decoder.kill()
    crew.go_on(queues.SCREEN)

    crew.caught(queues.EXPLAIN, crew.explaining)
    nicer, usual = (
        psutil.Process(crew.workers[queue].pid).nice() for queue in (queues.EXPLAIN, queues.SCREEN)
    )
    assert nicer == min(usual + EXPLAIN_NICENESS, 19)  # screening goes first
    crew.kill(queues.EXPLAIN)

    for queue, busy in ((queues.SCREEN, crew.screening), (queues.EXPLAIN, crew.explaining)):
        until(crew.all_done, "the others are done", moving=lambda: crew.screenings()[-1].attempt)
        take_in(crew, face_clip, 10 + len(queue))
        crew.caught(queue, busy)
        lock_for_longer_than_a_lease(crew, queue)

    until(crew.all_done, "all are done", story=lambda: crew.log(queues.SCREEN) + crew.log(queues.EXPLAIN))
    each_came_to_its_end_once(crew)
    crew.end()
    assert not [process for process in new_children() if process.is_running()]
    assert not unmapped(set(SHARED_MEMORY.iterdir()) - shared)
    nothing_is_left_over(crew, objects)
    for queue in crew.workers:
        assert "Traceback" not in crew.log(queue)
    crew.workers.clear()


def lock_for_longer_than_a_lease(crew: Crew, queue: str) -> None:
    """The worker of `queue`, stopped in the middle, goes on while nobody can write."""
    before = len(crew.log(queue))
    path = crew.engine.url.database
    assert path is not None
    with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as locking:
        locking.execute("BEGIN EXCLUSIVE")
        crew.go_on(queue)
        busy = crew.screening if queue == queues.SCREEN else crew.explaining
        until(lambda: not busy(), "its lease runs out, which it cannot renew")
        until(lambda: "waiting for a service" in crew.log(queue)[before:], "it waits with its result")
        locking.execute("ROLLBACK")


def unmapped(paths: set[Path]) -> set[Path]:
    """Those that no process maps any more: the servers of tests that run beside this one hold theirs."""
    maps = ""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended, or is another user's
            maps += (process / "maps").read_text(errors="replace")
    return {path for path in paths if path.exists() and str(path) not in maps}


def each_came_to_its_end_once(crew: Crew) -> None:
    rows = crew.screenings()
    assert [row.error_code for row in rows] == ["file_vanished", *[None] * (len(rows) - 1)]
    with reading(crew.engine) as session:
        flagged = session.scalars(select(FlaggedFrame.screening_id)).all()
        assert sorted(flagged) == [row.id for row in rows[1:]]
        methods = session.execute(select(ExplanationRow.flagged_frame_id, ExplanationRow.method)).all()
        assert sorted(Counter(frame for frame, _ in methods).values()) == [2] * len(flagged)
        ends = session.scalars(select(AuditEvent.subject).where(AuditEvent.action == "screening.done")).all()
        assert Counter(ends).most_common(1)[0][1] == 1
        assert len(ends) == len(rows) - 1
        assert audit.verify(session).sound


def nothing_is_left_over(crew: Crew, objects: FolderStore) -> None:
    for stored in objects.stored():
        os.utime(objects.path(stored.key), (0, 0))
    swept = sweep.sweep(crew.engine, objects, crew.settings.sweep, force=True)
    assert swept.found.missing == 1  # the one that the test removed
    assert swept.found.half_written == 0
    left = sweep.look(crew.engine, objects, crew.settings.sweep)
    assert (left.orphans, left.missing) == (0, 1)
