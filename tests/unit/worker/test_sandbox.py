"""What a process can no longer do; each in a process of its own."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

LOCKED = """
import os, resource, signal, socket, subprocess, sys, threading
from worker import sandbox
sandbox.die_with_parent(os.getppid())
sandbox.lock_down(memory_bytes=400 * 1024**2, cpu_seconds=1)
"""


def run(script: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", LOCKED + script]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "attempt",
    [
        "open('/etc/hostname')",
        "os.open('/tmp', os.O_RDONLY)",
        "socket.socket()",
        "os.pipe()",
        "os.dup(0)",
        "os.memfd_create('x')",
        "subprocess.run(['true'])",
    ],
)
def test_nothing_can_be_opened(attempt: str) -> None:
    script = f"""
try:
    {attempt}
except (OSError, ValueError) as error:
    os.write(1, b"refused")
"""
    assert run(script).stdout == "refused"


def test_what_was_open_stays_usable() -> None:
    assert run("os.write(1, b'still here'); sys.stdin.read()").stdout == "still here"


def test_nothing_can_be_written_to_a_file(tmp_path: object) -> None:
    path = f"{tmp_path}/file"
    script = LOCKED.replace(
        "sandbox.die", f"file = os.open({path!r}, os.O_CREAT | os.O_WRONLY)\nsandbox.die", 1
    )
    script += "\ntry:\n    os.write(file, b'x')\nexcept OSError as error:\n    os.write(1, b'refused')"
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, check=False)
    assert done.stdout == b"refused"


def test_memory_has_an_end() -> None:
    assert "MemoryError" in run("bytearray(600 * 1024**2)").stderr


def test_cpu_time_has_an_end() -> None:
    assert run("while True: pass").returncode == -signal.SIGXCPU


def test_threads_still_start() -> None:
    script = "thread = threading.Thread(target=lambda: os.write(1, b'x')); thread.start(); thread.join()"
    assert run(script).stdout == "x"


def test_it_dies_with_its_parent() -> None:
    script = LOCKED.replace("sys.exit", "") + "os.write(1, b'ready\\n'); signal.pause()"
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys, time\n"
            "child = subprocess.Popen([sys.executable, '-I', '-c', sys.argv[1]], stdout=subprocess.PIPE)\n"
            "child.stdout.readline(); print(child.pid, flush=True); time.sleep(60)",
            script,
        ],
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    assert child.is_running()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(1200):
        if not child.is_running() or child.status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.05)
    pytest.fail("the child outlived its parent")


def test_it_does_not_start_without_its_parent() -> None:
    script = "import os; from worker import sandbox; sandbox.die_with_parent(1 << 30); os.write(1, b'alive')"
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")
