"""What the decoder process gives up before it looks at a stranger's file.

Decoders are written in C and read hostile bytes. The process that runs them can be killed at any
moment, dies with its parent, and has limited memory, CPU time and threads. It has no capability, cannot open
or change a file, or reach an address or another process (`landlock`, beside this), and makes only the system
calls that decoding needs (`seccomp`). None of it needs a privilege; where a kernel lacks a part, the others
hold, and `facewarden doctor` says so.
"""

import ctypes
import errno
import os
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO

from worker.decoder.sandbox import landlock, seccomp
from worker.decoder.sandbox.system_calls import Kernel

# Numbers of Linux' prctl(2).
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38

CAPABILITY_VERSION = 0x20080522  # of capset(2): two words for each of three sets

# What a refused call returns: the filter's answer, Landlock's, and that of the limit on descriptors.
REFUSALS = (errno.EPERM, errno.EACCES, errno.EMFILE)

# Not the file's fault: memory that ran out, a refused call, an import that came too late.
NOT_THE_FILE = (MemoryError, PermissionError, ImportError)

# After SIGXCPU, in case a library catches it.
GRACE_CPU_SECONDS = 5

# The limit on tasks counts all tasks of a user, and decoders need threads: it leaves this much room above
# what the whole machine runs at the moment.
MOST_NEW_TASKS = 4096


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of the sandbox that not every kernel has."""

    name: str
    holds: bool
    note: str  # what holds, or why it does not


def die_with_parent(parent: int) -> None:
    """Be killed when the thread of `parent` (a process id) that started us ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the first call took hold
        os.kill(os.getpid(), signal.SIGKILL)


def lock_down(*, memory_bytes: int, cpu_seconds: int, kernel: Kernel | None = None) -> list[Part]:
    """Give up everything but open descriptors, and memory, CPU time and threads beyond the limits.

    Everything that will be needed has to be imported by now. Returns the state of the parts that not every
    kernel has.
    """
    kernel = kernel or Kernel()
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    os.umask(0o077)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_AS, memory_bytes)
    _limit(resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + GRACE_CPU_SECONDS)
    _limit_tasks()
    # Without it the kernel accepts a filter only from privileged processes.
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    parts = [
        _enforced("capabilities", _drop_capabilities, kernel),
        _enforced("landlock", landlock.restrict, kernel),
    ]
    # No descriptor below 0 exists: neither open(), socket() nor dup() can succeed from here on.
    _limit(resource.RLIMIT_NOFILE, 0)
    return [*parts, _enforced("seccomp", seccomp.install, kernel)]


def refusal_in(error: BaseException) -> BaseException | None:
    """The refused call or late import, if an error or one that led to it is one."""
    seen: BaseException | None = error
    while seen is not None:
        # A plain LookupError is what Python raises for a text encoding that it could not import.
        late = isinstance(seen, ImportError) or type(seen) is LookupError
        if late or getattr(seen, "errno", None) in REFUSALS:
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def _enforced(name: str, enforce: Callable[[Kernel], str], kernel: Kernel) -> Part:
    try:
        return Part(name=name, holds=True, note=enforce(kernel))
    except OSError as error:
        return Part(name=name, holds=False, note=error.strerror or str(error))


def _drop_capabilities(kernel: Kernel) -> str:
    """Drop root's extra rights; other users have none to lose."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    kernel.call("capset", ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)()))
    return "none left"


def _limit_tasks() -> None:
    try:
        with FileIO("/proc/loadavg") as file:
            tasks = int(file.read().split()[3].split(b"/")[1])
    except (OSError, ValueError, IndexError):
        return  # there is no /proc here; memory bounds threads too
    _limit(resource.RLIMIT_NPROC, tasks + MOST_NEW_TASKS)


def _limit(what: int, soft: int, hard: int | None = None) -> None:
    """Set a limit, or the one already in force if that is lower."""
    _, ceiling = resource.getrlimit(what)
    hard = soft if hard is None else hard
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    resource.setrlimit(what, (soft, hard))
