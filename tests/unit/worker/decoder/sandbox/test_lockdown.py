"""What a process can no longer do; each in a process of its own."""

import errno
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from core.errors import BrokenMedia
from worker.decoder.sandbox import landlock, lockdown
from worker.decoder.sandbox.system_calls import Kernel

LOCKED = """
import os, resource, signal, socket, subprocess, sys, threading, time
from worker.decoder.sandbox import lockdown
lockdown.die_with_parent(os.getppid())
lockdown.lock_down(memory_bytes=400 * 1024**2, cpu_seconds=1)
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
        "lockdown.die", f"file = os.open({path!r}, os.O_CREAT | os.O_WRONLY)\nlockdown.die", 1
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
    script = LOCKED.replace("sys.exit", "") + "os.write(1, b'ready\\n'); time.sleep(60)"
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
    script = (
        "import os; from worker.decoder.sandbox import lockdown; "
        "lockdown.die_with_parent(1 << 30); os.write(1, b'alive')"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")


# The parts alone, each on a real kernel with the others left out.

ALONE = """
import os, signal, socket, subprocess, sys
from worker.decoder.sandbox import landlock, lockdown, seccomp
from worker.decoder.sandbox.system_calls import Kernel
lockdown.ctypes.CDLL(None).prctl(lockdown.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
{part}
refused = []
for attempt in (
    lambda: os.open("/etc/hostname", os.O_RDONLY),
    lambda: os.listdir("/"),
    lambda: os.mkdir({made!r}),
    lambda: socket.socket().connect(("127.0.0.1", 9)),
    lambda: os.kill(os.getppid(), 0),
    lambda: os.posix_spawn("/bin/true", ["true"], {{}}),
):
    try:
        attempt()
        refused.append(False)
    except OSError as error:
        refused.append(isinstance(error, PermissionError))
print(refused)
"""


def alone(part: str, folder: Path) -> str:
    script = ALONE.format(part=part, made=str(folder / "made"))
    command = [sys.executable, "-I", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert list(folder.iterdir()) == []
    return done.stdout.strip()


def test_landlock_alone(tmp_path: Path) -> None:
    """What it can name, this kernel's version of it: files and ports, and from the sixth on signals."""
    try:
        abi = Kernel().call("landlock_create_ruleset", None, 0, landlock.CREATE_RULESET_VERSION)
    except OSError:
        pytest.skip("this kernel has no Landlock")
    assert alone("landlock.restrict(Kernel())", tmp_path) == str([True, True, True, abi >= 4, abi >= 6, True])


def test_seccomp_alone(tmp_path: Path) -> None:
    assert alone("seccomp.install(Kernel())", tmp_path) == str([True] * 6)


def test_what_a_kernel_lacks_is_told_and_the_rest_holds() -> None:
    script = """
import errno, os
from worker.decoder.sandbox import lockdown
from worker.decoder.sandbox.system_calls import Kernel

class Old(Kernel):
    def call(self, name, *arguments):
        if name in ("landlock_create_ruleset", "seccomp"):
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        return super().call(name, *arguments)

parts = lockdown.lock_down(memory_bytes=400 * 1024**2, cpu_seconds=1, kernel=Old())
try:
    open("/etc/hostname")
except OSError:
    print([(part.name, part.holds, part.note) for part in parts])
"""
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, timeout=60, check=False)
    assert done.stderr == b""
    assert eval(done.stdout) == [  # noqa: S307  our own words
        ("capabilities", True, "none left"),
        ("landlock", False, "Function not implemented"),
        ("seccomp", False, "Function not implemented"),
    ]


def test_a_processor_without_a_table_is_told() -> None:
    script = """
import os
from types import SimpleNamespace
from worker.decoder.sandbox import lockdown
os.uname = lambda: SimpleNamespace(machine="riscv64")
print([(part.holds, part.note) for part in lockdown.lock_down(memory_bytes=400 * 1024**2, cpu_seconds=1)])
"""
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, timeout=60, check=False)
    assert done.stdout.count(b"(False, 'the system calls of riscv64 are not in the table')") == 3


def test_a_refusal_is_found_however_deep_it_lies() -> None:
    def wrapped(cause: Exception) -> Exception:
        try:
            try:
                raise cause
            except type(cause):
                raise BrokenMedia(name="a", reason="b") from None
        except BrokenMedia as error:
            return error

    refused = PermissionError(errno.EPERM, "Operation not permitted")
    for cause in (refused, ModuleNotFoundError("no module"), LookupError("unknown encoding: cp850")):
        assert lockdown.refusal_in(wrapped(cause)) is cause
    for other in (ValueError("x"), KeyError("x"), PermissionError("a video asked for a file")):
        assert lockdown.refusal_in(wrapped(other)) is None
