"""`facewarden up`: the whole system on one machine, as child processes of one supervisor.

No child outlives it: each asks the kernel for SIGTERM at its parent's death, and whatever is left anyway is
reaped at the next start (its process group is on record).
"""

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any

import structlog
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import Engine

from cli.up import queue_server
from core import queues
from core.errors import FacewardenError, QueueServerFailed, SettingsError
from core.model_version import read_model_version
from core.settings import Settings
from ingest.registration import register_version
from ingest.source import untaken
from storage.engine import connect, reading, transaction
from storage.migrate import upgrade
from storage.people import accounts
from storage.read import workload
from storage.tables import utc_now
from worker.decoder.sandbox import lockdown

log = structlog.get_logger()

FIRST_PAUSE_SECONDS = 0.5  # before a crashed child is started again; doubles up to the longest
LONGEST_PAUSE_SECONDS = 30.0
HEALTHY_SECONDS = 60.0  # a child that ran this long starts over with the first pause
KILL_SECONDS = 10.0  # for a worker to give its job back, after the job's own time to finish
START_SECONDS = 20.0  # for Valkey to answer
TICK_SECONDS = 0.2
LONGEST_WORDS = 1024**2  # bytes of a child's log that are searched
QUEUE = "valkey"  # the child
# This command in another process. -P: a folder `core` or `models` in the working folder is not ours.
THIS = (sys.executable, "-P", "-m", "cli")


@dataclass
class Child:
    name: str
    command: list[str]
    log_path: Path
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0  # time.monotonic()
    restart_at: float = 0.0
    pause: float = FIRST_PAUSE_SECONDS
    log_start: int = 0  # bytes of the log from earlier starts

    def start(self) -> None:
        with self.log_path.open("ab") as output:
            self.log_start = output.tell()
            self.process = subprocess.Popen(  # noqa: S603  our own command lines
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # a Ctrl-C goes to the supervisor, which stops all in order
                preexec_fn=die_with_parent,  # noqa: PLW1509  this process has one thread
            )
        self.started = time.monotonic()

    def words(self) -> str:
        """What it has written since it was last started."""
        with self.log_path.open("rb") as written:
            written.seek(self.log_start)
            return written.read(LONGEST_WORDS).decode(errors="replace")

    def signal(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)


def die_with_parent() -> None:
    """Run in a child before its program: ask for SIGTERM when the parent dies."""
    ctypes.CDLL(None).prctl(lockdown.PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class Supervisor:
    settings: Settings
    children: list[Child] = field(default_factory=list)
    _stop: bool = False
    _lock: IO[str] | None = None
    _engine: Engine | None = None

    def run(self, *, until_idle: bool = False) -> int:
        """Start everything and keep it running until SIGTERM or SIGINT (or idleness); returns the exit code.

        Raises SettingsError where another supervisor owns the home folder.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)
        # Without reviewers no port is needed, and another installation may hold it.
        reviewed = not until_idle
        self._prepare(reviewed=reviewed)
        try:
            self._start_queue()
            self._start_children(reviewed=reviewed)
            self._greet(reviewed=reviewed)
            idle_since: float | None = None
            while not self._stop:
                self._tend()
                if until_idle:
                    idle_since = self._idle_since(idle_since)
                    if idle_since is not None and time.monotonic() - idle_since > 1:
                        break
                time.sleep(TICK_SECONDS)
        finally:
            self._end()
        return 0

    def _ask(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._stop = True

    @property
    def _run_folder(self) -> Path:
        return self.settings.home / "run"

    def _prepare(self, *, reviewed: bool) -> None:
        for folder in (self._run_folder, self.settings.home / "logs", self.settings.bucket):
            if isinstance(folder, Path):  # nobody but its owner makes a bucket in S3
                folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self._run_folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            reason = (
                f"another `facewarden up` runs in {self.settings.home.resolve()}; stop it or set another home"
            )
            raise SettingsError(setting="FACEWARDEN_HOME", reason=reason) from error
        reap(self._run_folder / "children.json")
        if reviewed:
            self._check_port()
        self._began = utc_now()
        self._engine = connect(self.settings.sql_url)
        upgrade(self._engine)
        with transaction(self._engine) as session:
            register_version(session, read_model_version(self.settings.weights))

    def _check_port(self) -> None:
        """Raises SettingsError if another program has the review service's port."""
        review = self.settings.review
        family = socket.AF_INET6 if ":" in review.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server will
            try:
                probe.bind((review.host, review.port))
            except OSError as error:
                reason = f"cannot listen on {review.host}:{review.port} ({error.strerror}); set another"
                raise SettingsError(setting="FACEWARDEN_REVIEW__PORT", reason=reason) from error

    def _start_queue(self) -> None:
        if self.settings.redis_url is not None:
            return
        command = queue_server.command(self.settings)
        connection = Redis.from_url(self.settings.queue_url)
        try:
            self._stop_stray_queue(connection)
            self._add(QUEUE, command)
            self._await_queue(connection)
        finally:
            connection.close()

    @staticmethod
    def _stop_stray_queue(connection: Redis) -> None:
        """A server that answers now is a leftover of ours: two that append to one file would damage it."""
        if not queue_server.answers(connection):
            return
        log.warning("a queue server was left behind; stopping it")
        with contextlib.suppress(RedisError, OSError):
            connection.shutdown()

    def _await_queue(self, connection: Redis) -> None:
        """Raises QueueServerFailed if the server does not start for a reason that only people can fix."""
        child = self.children[-1]
        emptied = False
        deadline = time.monotonic() + START_SECONDS
        while not self._stop and not queue_server.answers(connection):
            code = None if child.process is None else child.process.poll()
            if code is not None:
                failure = self._queue_failure(child, code)
                if failure is None or emptied or not self._emptied(failure):
                    raise self._queue_failed(failure)
                emptied = True
                child.start()
                self._write_state()
                deadline = time.monotonic() + START_SECONDS
            # A large queue takes time to load: the server answers every ping with that, so wait for it.
            elif time.monotonic() > deadline and not queue_server.loads(connection):
                raise self._queue_failed(None)
            time.sleep(0.05)

    def _queue_failure(self, child: Child, code: int) -> queue_server.Failure | None:
        return queue_server.failure(child.words(), code, queue_server.files(self.settings))

    def _emptied(self, failure: queue_server.Failure) -> bool:
        """Whether the queue's files were damaged and are now set aside: the server starts with none."""
        if failure.cause is not queue_server.Cause.DAMAGED:
            return False
        try:
            target = queue_server.set_aside(self.settings)
        except OSError as error:
            log.error("the queue's damaged files cannot be set aside", reason=str(error))  # noqa: TRY400
            return False
        log.error(
            "THE QUEUE'S FILES ARE DAMAGED: they were set aside; the queue starts empty and is refilled"
            " from the database; no video is lost",
            reason=failure.line,
            set_aside=str(target),
        )
        return True

    def _queue_failed(self, failure: queue_server.Failure | None) -> QueueServerFailed:
        folder = queue_server.files(self.settings)
        return QueueServerFailed(
            reason=failure.line if failure else f"no answer within {START_SECONDS:.0f} s",
            remedy=failure.remedy(folder) if failure else "Start it again",
            log=self.settings.home / "logs" / f"{QUEUE}.log",
        )

    def _start_children(self, *, reviewed: bool) -> None:
        self._add("ingest", [*THIS, "ingest", "--watch"])
        self._add("worker-screen", [*THIS, "worker", "--queue", "screen"])
        self._add("worker-explain", [*THIS, "worker", "--queue", "explain"])
        if reviewed:
            self._add("deliver", [*THIS, "deliver"])
            self._add("review", [*THIS, "review"])
        if reviewed and self.settings.streams.enabled:
            self._add("streams", [*THIS, "streams"])

    def _add(self, name: str, command: list[str]) -> None:
        child = Child(name=name, command=command, log_path=self.settings.home / "logs" / f"{name}.log")
        self.children.append(child)
        child.start()
        self._write_state()

    def _tend(self) -> None:
        """Restart what has ended: at once after recycling, with a growing pause after crashes."""
        now = time.monotonic()
        for child in self.children:
            if child.process is None:
                if now >= child.restart_at:
                    child.start()
                    self._write_state()
                continue
            code = child.process.poll()
            if code is None:
                continue
            if code == queues.RECYCLE_EXIT_CODE or now - child.started > HEALTHY_SECONDS:
                child.pause = FIRST_PAUSE_SECONDS
            log.warning("child ended", child=child.name, exit_code=code, log=str(child.log_path))
            if child.name == QUEUE:
                self._examine_queue(child, code)
            child.process = None
            child.restart_at = now if code == queues.RECYCLE_EXIT_CODE else now + child.pause
            child.pause = min(2 * child.pause, LONGEST_PAUSE_SECONDS)

    def _examine_queue(self, child: Child, code: int) -> None:
        """Find out why the queue server ended, so that its next start can succeed."""
        failure = self._queue_failure(child, code)
        if failure is not None and not self._emptied(failure):
            log.error("the queue waits", reason=str(self._queue_failed(failure)))

    def _write_state(self) -> None:
        state = {
            child.name: {"pid": child.process.pid, "start": start_time(child.process.pid)}
            for child in self.children
            if child.process is not None
        }
        partial = self._run_folder / "children.json.partial"
        partial.write_text(json.dumps(state))
        partial.replace(self._run_folder / "children.json")

    def _greet(self, *, reviewed: bool) -> None:
        log.info("up", bucket=self.settings.bucket_name, home=str(self.settings.home.resolve()))
        log.info("drop videos into the bucket; see `facewarden status` and `facewarden results`")
        if reviewed:
            log.info("review", address=self.settings.review.address)
            self._introduce()

    def _introduce(self) -> None:
        """On the very first start, add an admin; the one-time password is shown here and nowhere else."""
        assert self._engine is not None  # noqa: S101  made before any child was started
        with transaction(self._engine) as session:
            password = accounts.add_first_admin(session)
        if password is None:
            return
        # Written, not logged: logs go to places where a password must not.
        sys.stderr.write(
            f"\n  First sign-in at {self.settings.review.address}\n"
            f"    name      {accounts.FIRST_ADMIN}\n"
            f"    password  {password}\n"
            "  It is shown only this once and must be changed when signing in.\n"
            f"  Lost? `facewarden account password {accounts.FIRST_ADMIN}` makes another.\n\n"
        )
        sys.stderr.flush()

    def _idle_since(self, since: float | None) -> float | None:
        assert self._engine is not None  # noqa: S101  made before any child was started
        try:
            with reading(self._engine) as session:
                busy = workload.counts(session).busy
                waiting = untaken(session, self.settings, since=self._began)
        except FacewardenError as error:
            log.warning("idleness not known", reason=str(error))
            return None
        if busy or waiting:
            return None
        return time.monotonic() if since is None else since

    def _end(self) -> None:
        """Stop the others first, the queue last, so that a running job can still report."""
        for group in (
            [c for c in self.children if c.name != QUEUE],
            [c for c in self.children if c.name == QUEUE],
        ):
            for child in group:
                child.signal(signal.SIGTERM)
            deadline = time.monotonic() + self.settings.worker.stop_seconds + KILL_SECONDS
            for child in group:
                if child.process is None:
                    continue
                try:
                    child.process.wait(max(0.1, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    child.signal(signal.SIGKILL)
                    child.process.wait()
        (self._run_folder / "children.json").unlink(missing_ok=True)
        if self._engine is not None:
            self._engine.dispose()
        log.info("stopped")


def start_time(pid: int) -> str | None:
    """When a process started, in the kernel's ticks: with the pid, this identifies it for good.

    None if it has ended.
    """
    try:
        # The command's name, in parentheses, may contain blanks: count from behind it.
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        # A zombie is dead: in a container whose first process reaps nothing, it stays listed for good.
        return None if fields[0] in "ZX" else fields[19]
    except (OSError, IndexError):
        return None


def read_children(path: Path) -> dict[str, Any]:
    """The children that the state file names and that still run."""
    try:
        state: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return {name: entry for name, entry in state.items() if start_time(entry["pid"]) == entry["start"]}


def reap(path: Path) -> None:
    """Kill what a killed supervisor left behind."""
    for name, entry in read_children(path).items():
        log.warning("reaping a leftover", child=name, pid=entry["pid"])
        try:
            os.killpg(entry["pid"], signal.SIGKILL)
        except ProcessLookupError:
            continue
        for _ in range(50):
            if start_time(entry["pid"]) != entry["start"]:
                break
            time.sleep(0.05)
    path.unlink(missing_ok=True)
