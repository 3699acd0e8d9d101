"""The system calls that a decoder may make, and a filter in the kernel (seccomp) that refuses all others.

A refused call returns EPERM, so that a library that was only trying goes on; calls through another
architecture's interface, which no library makes, kill the process. What is allowed works on open
descriptors, on the process's own memory, threads and signals, and reads clocks. Nothing allowed takes a
path, an address or another process.

`stat` of a path is refused, and with it `os.fstat` where the C library (glibc 2.33 to 2.38) makes it from the
same call: a filter cannot see whether the path is empty. The size of an open file is `file.seek(0, 2)`.

Which call is missing, after an update of a library? docs/operations.md, "The sandbox".

Of the packages, `pyseccomp` (last release in 2021) needs the system's libseccomp.so, which slim images may
lack, and `seccompy` is some weeks old and starts `ldconfig` to find the C library. The kernel's
interface is one call, and the program below a list.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from worker.decoder.sandbox.system_calls import Kernel

# In order of use: the program below asks one after the other.
ALLOWED = (
    *("read", "write", "lseek", "futex", "munmap", "brk", "madvise", "mremap", "clock_gettime"),
    *("readv", "writev", "pread64", "fstat", "close"),
    *("set_robust_list", "rseq", "sched_yield", "sched_getaffinity", "exit", "exit_group"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall"),
    *("clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time"),
    *("getpid", "getppid", "gettid", "getuid", "geteuid", "getgid", "getegid"),
    *("getcpu", "getrandom", "getrusage", "times", "sysinfo", "uname"),
)

PROT_EXEC = 4
PR_SET_NAME = 15

# What glibc and musl pass for a new thread (CLONE_VM, _FS, _FILES, _SIGHAND, _THREAD, _SYSVSEM, _SETTLS,
# _PARENT_SETTID, _CHILD_CLEARTID). A process, or a thread in a namespace of its own, differs.
THREAD = 0x3D0F00
DETACHED = 0x400000  # CLONE_DETACHED: musl sets it, Linux ignores it

# What a filter answers (SECCOMP_RET_*).
ALLOW = 0x7FFF0000
REFUSE = 0x00050000 | errno.EPERM
UNKNOWN = 0x00050000 | errno.ENOSYS
KILL = 0x80000000  # the process

# Instructions of the kernel's filter language (classic BPF), and where its input has what.
LOAD, AND, EQUALS, AT_LEAST, RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16

SET_MODE_FILTER = 1
TSYNC = 1  # flag: the threads that exist already, too

Instruction = tuple[int, int, int, int]  # code, instructions to skip if true and if false, operand


@dataclass(frozen=True, kw_only=True)
class Check:
    """A condition on an argument of a call."""

    argument: int  # counted from 0
    value: int  # 32 bits
    mask: int = 0xFFFFFFFF  # bits that are compared
    upper: bool = False  # of the argument's 64 bits the upper 32


def rules() -> dict[str, tuple[Check, ...]]:
    """Calls that are allowed only with certain arguments."""
    return {
        # Memory that is not executable: the libraries are loaded, and no new code is needed.
        "mmap": (Check(argument=2, mask=PROT_EXEC, value=0),),
        "mprotect": (Check(argument=2, mask=PROT_EXEC, value=0),),
        "clone": (Check(argument=0, mask=0xFFFFFFFF ^ DETACHED, value=THREAD),),
        "tgkill": (Check(argument=0, value=os.getpid()),),
        "prctl": (Check(argument=0, value=PR_SET_NAME),),
        # To read its own limits, not to set any.
        "prlimit64": (
            Check(argument=0, value=0),
            Check(argument=2, value=0),
            Check(argument=2, value=0, upper=True),
        ),
    }


def install(kernel: Kernel) -> str:
    """Refuse all but the calls above from now on, in all threads; returns what holds, in words.

    Raises OSError if the kernel has no seccomp, or the environment forbids it.
    """
    code = list(program(kernel))
    memory = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in code))
    described = _Program(length=len(code), instructions=ctypes.addressof(memory))
    thread = kernel.call("seccomp", SET_MODE_FILTER, TSYNC, ctypes.byref(described))
    if thread:
        raise OSError(errno.EBUSY, f"thread {thread} has a filter of its own")
    return f"{len(ALLOWED) + len(rules())} system calls allowed"


def program(kernel: Kernel) -> Iterator[Instruction]:
    """The filter, each call a block that is skipped as a whole by the others."""
    architecture = kernel.architecture
    yield LOAD, 0, 0, ARCHITECTURE_AT
    yield EQUALS, 1, 0, architecture.audit
    yield RETURN, 0, 0, KILL
    yield LOAD, 0, 0, NUMBER_AT
    if architecture.first_foreign is not None:
        yield AT_LEAST, 0, 1, architecture.first_foreign
        yield RETURN, 0, 0, KILL
    blocks = {name: [_answer(ALLOW)] for name in ALLOWED}
    blocks |= {name: _checked(checks) for name, checks in rules().items()}
    # Its flags are in memory, where a filter cannot look: the C library then falls back to `clone`.
    blocks["clone3"] = [_answer(UNKNOWN)]
    for name, block in blocks.items():
        number = kernel.number(name)
        if number is not None:
            yield EQUALS, 0, len(block), number
            yield from block
    yield _answer(REFUSE)


def _checked(checks: tuple[Check, ...]) -> list[Instruction]:
    """Allow where all checks hold, else refuse."""
    block = [_answer(ALLOW), _answer(REFUSE)]
    for check in reversed(checks):
        at = ARGUMENTS_AT + 8 * check.argument + 4 * check.upper  # both architectures are little-endian
        to_refusal = len(block) - 1
        block = [(LOAD, 0, 0, at), (AND, 0, 0, check.mask), (EQUALS, 0, to_refusal, check.value), *block]
    return block


def _answer(value: int) -> Instruction:
    return RETURN, 0, 0, value


class _Program(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))
