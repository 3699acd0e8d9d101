"""The decoder process as its reader sees it: started, read from, killed, and its end explained."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import cache
from typing import IO, Any, NoReturn

import structlog
from pydantic import TypeAdapter

from core import errors
from core.errors import BrokenMedia, DecoderKilled, DecoderShot, ServiceUnavailable
from core.settings import DecodeSettings
from worker.decoder.protocol import LONGEST_LINE, Request
from worker.decoder.sandbox.lockdown import Part

log = structlog.get_logger()

# Isolated from the caller's folder and environment; writes no bytecode (it may not write files).
COMMAND = (sys.executable, "-I", "-B", "-m", "worker.decoder.process")

# What the decoder may see of our environment: where its libraries are, and no secrets.
ENVIRONMENT = ("LD_LIBRARY_PATH", "LANG", "LC_ALL")

# Errors that a decoder may report about its input, by code.
REPORTED = {
    kind.code: kind
    for kind in (
        errors.NotMedia,
        errors.UnsupportedMedia,
        errors.NoVideoStream,
        errors.Encrypted,
        errors.BrokenMedia,
        errors.MediaTooLarge,
        errors.TooCostly,
    )
}

# What helps, by what went wrong.
RAISE = "The file is probably damaged or hostile; if not, raise FACEWARDEN_DECODE__{}."
MORE_MEMORY = RAISE.format("MEMORY_BYTES")
MORE_CPU_TIME = RAISE.format("CPU_SECONDS")
MORE_PATIENCE = RAISE.format("STALL_SECONDS")
BETTER_FILE = "The file is probably damaged or hostile, and no setting helps. Export it again where it plays."
MORE_ROOM = "Give the machine more memory, or run fewer workers on it, and screen the file again."
REPORT = "No setting helps: this is a bug in Facewarden or its installation. Report it with this message."

_PARTS = TypeAdapter(list[Part])


class DecoderChild:
    """A running decoder.

    Every method may raise an InputError, or ServiceUnavailable where the process did not even begin its
    work; after either, the process is gone.
    """

    def __init__(self, request: Request, settings: DecodeSettings, command: Sequence[str] = COMMAND) -> None:
        self._name = request.name
        self._settings = settings
        self._cpu_seconds = request.limits.most_cpu_seconds
        self._unread = b""
        self.sandbox: list[Part] = []  # known once it is ready
        self._ready = False  # it has begun reading: what goes wrong from here on is the file's doing
        self._complaints = os.memfd_create("facewarden-decoder-stderr", os.MFD_CLOEXEC)
        try:
            # Not through a shell; `command` is ours, the file's name is not part of it.
            self._process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                pass_fds=(request.file, request.memory),
                env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
                cwd="/",
                start_new_session=True,  # a Ctrl-C in the terminal is ours to handle
                bufsize=0,
            )
        except OSError:
            os.close(self._complaints)
            raise
        self._write(request.line())

    def took_frame(self) -> None:
        """Tell the decoder that the oldest frame in the shared memory has been copied."""
        self._write(b"\n")

    def read(self) -> dict[str, Any]:
        """The next message other than a heartbeat; kills a decoder that stays silent for too long."""
        while True:
            message = self._parse(self._line())
            kind = message.get("kind")
            if kind == "error":
                self._raise_reported(message)
            if kind in {"crashed", "refused"} and not self._ready:
                self._fail_to_start(str(message.get("reason")))
            if kind == "crashed":
                self._fail(f"it crashed ({message.get('reason')})", REPORT)
            if kind == "refused":
                self._fail(f"the sandbox refused a call ({message.get('reason')})", REPORT)
            if kind == "out_of_memory":
                mebibytes = self._settings.memory_bytes >> 20
                self._fail(f"it asked for more than {mebibytes} MiB of memory", MORE_MEMORY)
            if kind == "ready":
                self._note_sandbox(message.get("sandbox", []))
                self._ready = True
            elif kind != "heartbeat":
                return message

    def kill(self) -> None:
        """End the process and all that it started, and free its resources; may be called again."""
        if self._process.returncode is None:  # not waited for yet: its pid cannot have been reused
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        if self._complaints >= 0:
            os.close(self._complaints)
            self._complaints = -1

    def nonsense(self, what: str) -> NoReturn:
        """A decoder that was taken over can write anything; nothing more is read from it."""
        self._fail(f"it sent something that makes no sense: {what}", BETTER_FILE)

    def _note_sandbox(self, parts: object) -> None:
        try:
            self.sandbox = _PARTS.validate_python(parts)
        except ValueError:
            self.nonsense("an invalid sandbox report")
        for part in self.sandbox:
            if not part.holds:
                _warn_of(part.name, part.note)

    def _write(self, words: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has ended; its last message is still to be read
            self._pipe(self._process.stdin).write(words)

    def _line(self) -> bytes:
        pipe = self._pipe(self._process.stdout)
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        deadline = time.monotonic() + self._settings.stall_seconds
        while b"\n" not in self._unread:
            if not poll.poll(max(0.0, 1000 * (deadline - time.monotonic()))):
                self._fail(f"it was silent for {self._settings.stall_seconds:g} s", MORE_PATIENCE)
            piece = os.read(pipe.fileno(), LONGEST_LINE)
            if not piece:
                self._explain_death()
            self._unread += piece
            if len(self._unread) > LONGEST_LINE and b"\n" not in self._unread:
                self.nonsense("an endless line")
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _parse(self, line: bytes) -> dict[str, Any]:
        try:
            message = json.loads(line, parse_constant=_no_number)
        except (ValueError, RecursionError):
            self.nonsense("a line that is not JSON")
        if not isinstance(message, dict):
            self.nonsense("a line that is not an object")
        return message

    def _raise_reported(self, message: dict[str, Any]) -> NoReturn:
        """The decoder's own verdict on its input."""
        self.kill()
        kind = REPORTED.get(str(message.get("code")), BrokenMedia)
        fields = message.get("fields")
        said = fields if isinstance(fields, dict) else {}
        raise kind(**{"reason": "unknown", **said, "name": self._name})

    def _explain_death(self) -> NoReturn:
        """The pipe has ended without a final message."""
        # Not reaped here: `kill` does that, after ending what the process may have started.
        ended = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        if ended is None or ended.si_code == os.CLD_EXITED:
            self._explain_exit(ended.si_status if ended else 0)
        if ended.si_status == signal.SIGXCPU:
            self._fail(f"it used more than {self._cpu_seconds:.0f} s of CPU time", MORE_CPU_TIME)
        if ended.si_status == signal.SIGKILL:
            self.kill()
            reason = "something killed it, as the system does when memory runs out"
            raise DecoderShot(name=self._name, reason=reason, remedy=MORE_ROOM)
        self._fail(f"it crashed ({_signal_name(ended.si_status)})", BETTER_FILE)

    def _explain_exit(self, code: int) -> NoReturn:
        if self._ready:
            self._fail(f"it exited before it was done (exit code {code})", REPORT)
        self._fail_to_start(self._last_complaint())

    def _fail_to_start(self, reason: str) -> NoReturn:
        self.kill()
        raise ServiceUnavailable(
            service="The decoder", address=sys.executable, reason=reason, setting="the installation"
        )

    def _last_complaint(self) -> str:
        size = os.fstat(self._complaints).st_size
        text = os.pread(self._complaints, 2000, max(0, size - 2000)).decode(errors="replace")
        return (text.strip().splitlines() or ["no message"])[-1]

    def _fail(self, reason: str, remedy: str) -> NoReturn:
        self.kill()
        raise DecoderKilled(name=self._name, reason=reason, remedy=remedy)

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        if pipe is None:
            raise RuntimeError("the decoder was started without pipes")
        return pipe


@cache
def _warn_of(name: str, note: str) -> None:
    """Once per process: it is the same for every file."""
    log.warning("a part of the decoder's sandbox is missing here", part=name, reason=note)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")
