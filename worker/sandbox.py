"""What the decoder process gives up before it looks at a stranger's file.

Decoders are written in C and read hostile bytes. The process that runs them can be killed at any
moment, dies with its parent, cannot open a file or a socket, cannot write one, and has an end to its
memory and its CPU time. None of it needs a privilege or a kernel option.
"""

import ctypes
import os
import resource
import signal

# Numbers of Linux' prctl(2).
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38

# After SIGXCPU, for the case that a library catches it.
GRACE_CPU_SECONDS = 5


def die_with_parent(parent: int) -> None:
    """Be killed when the thread of `parent` (a process id) that started us ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the first call took hold
        os.kill(os.getpid(), signal.SIGKILL)


def lock_down(*, memory_bytes: int, cpu_seconds: int) -> None:
    """Give up new file descriptors, writing, core dumps, and memory and CPU time beyond the limits.

    What is open stays usable. Everything that will be imported has to be imported by now.
    """
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_AS, memory_bytes)
    _limit(resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + GRACE_CPU_SECONDS)
    # No descriptor below 0 exists: neither open(), socket() nor dup() can succeed from here on.
    _limit(resource.RLIMIT_NOFILE, 0)


def _limit(what: int, soft: int, hard: int | None = None) -> None:
    """Set a limit, as far below the wanted one as the one that is already in force demands."""
    _, ceiling = resource.getrlimit(what)
    hard = soft if hard is None else hard
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    resource.setrlimit(what, (soft, hard))
