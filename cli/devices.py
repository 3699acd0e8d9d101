"""`facewarden worker --devices`: one worker process for each device, as long as none is told to stop."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

import structlog
import typer

from cli.up.supervisor import (
    FIRST_PAUSE_SECONDS,
    HEALTHY_SECONDS,
    LONGEST_PAUSE_SECONDS,
    THIS,
    TICK_SECONDS,
    die_with_parent,
)
from core import queues

log = structlog.get_logger()

CPU, ALL = "cpu", "all"
# In a process of its own: a parent that had asked CUDA could not leave it to its children.
COUNT = "import torch; print(torch.cuda.device_count())"


def gpu_count() -> int:
    """How many GPUs are found here, of those that CUDA_VISIBLE_DEVICES leaves visible."""
    answer = subprocess.run(  # noqa: S603  our own command line
        [sys.executable, "-P", "-c", COUNT], capture_output=True, text=True, check=True
    )
    return int(answer.stdout)


def device_list(asked: str, found: Callable[[], int] = gpu_count) -> list[str]:
    """Which devices `--devices` names: of each the value of CUDA_VISIBLE_DEVICES, or `cpu`.

    `found` is asked for the number of GPUs if any is named: a worker without its GPU would be started again
    and again.

    Raises typer.BadParameter.
    """
    devices = [each.strip() for each in asked.split(",")]
    everything = devices == [ALL]
    named = [each for each in devices if each != CPU]
    for each in named:
        if not (everything or each.isdecimal()):
            raise typer.BadParameter(f"{each!r} is no device: give all, or numbers and cpu such as 0,1,cpu")
    count = found() if named else 0
    if everything:
        devices = [str(number) for number in range(count)]
        if not devices:
            raise typer.BadParameter("no GPU is found here; see `nvidia-smi`, or give --devices cpu")
    return [_name(each, count) for each in devices]


def _name(device: str, count: int) -> str:
    if device == CPU:
        return CPU
    if int(device) >= count:
        many = "1 GPU is" if count == 1 else f"{count or 'no'} GPUs are"
        raise typer.BadParameter(f"there is no device {device}: {many} found here; see `nvidia-smi`")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return device
    return [each.strip() for each in visible.split(",")][int(device)]


@dataclass
class _Worker:
    device: str
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0  # time.monotonic()
    restart_at: float = 0.0
    pause: float = FIRST_PAUSE_SECONDS
    code: int = 0  # of its last end

    @property
    def environment(self) -> Mapping[str, str]:
        if self.device == CPU:
            return {"CUDA_VISIBLE_DEVICES": "", "FACEWARDEN_DEVICE": CPU}
        return {"CUDA_VISIBLE_DEVICES": self.device, "FACEWARDEN_DEVICE": "cuda"}


@dataclass
class DeviceCrew:
    devices: Sequence[str]  # of device_list
    arguments: Sequence[str]  # of each worker's command
    command: Sequence[str] = THIS
    _stop: bool = field(default=False, init=False)

    def run(self, *, burst: bool = False) -> int:
        """Keep a worker on each device until SIGTERM or SIGINT, or in a burst until all have ended.

        Returns the exit code: 0 if every worker's is.
        """
        crew = [_Worker(device=each) for each in self.devices]
        arguments = [*self.arguments, *(["--burst"] if burst else [])]

        def ask(number: int, frame: FrameType | None) -> None:
            del number, frame
            self._stop = True
            # A second signal goes on too: it makes a worker give its job back at once.
            for worker in crew:
                if worker.process is not None and worker.process.poll() is None:
                    worker.process.terminate()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, ask)
        for worker in crew:
            self._start(worker, arguments)
        while any(worker.process is not None for worker in crew) or not (burst or self._stop):
            for worker in crew:
                self._tend(worker, arguments, burst=burst)
            time.sleep(TICK_SECONDS)
        return max((abs(worker.code) for worker in crew), default=0)

    def _start(self, worker: _Worker, arguments: Sequence[str]) -> None:
        worker.process = subprocess.Popen(  # noqa: S603  our own command line
            [*self.command, *arguments],
            env=os.environ | worker.environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C comes to this process, which passes it on once
            preexec_fn=die_with_parent,  # noqa: PLW1509  this process has one thread
        )
        worker.started = time.monotonic()
        if self._stop:  # the signal came while it was started
            worker.process.terminate()

    def _tend(self, worker: _Worker, arguments: Sequence[str], *, burst: bool) -> None:
        now = time.monotonic()
        if worker.process is None:
            if not self._stop and not burst and now >= worker.restart_at:
                self._start(worker, arguments)
            return
        code = worker.process.poll()
        if code is None:
            return
        recycled = code == queues.RECYCLE_EXIT_CODE
        worker.process, worker.code = None, 0 if recycled else code
        if self._stop or (burst and not recycled):
            return
        if recycled:
            self._start(worker, arguments)
            return
        log.warning("worker ended", device=worker.device, exit_code=code)
        if now - worker.started > HEALTHY_SECONDS:
            worker.pause = FIRST_PAUSE_SECONDS
        worker.restart_at = now + worker.pause
        worker.pause = min(2 * worker.pause, LONGEST_PAUSE_SECONDS)
