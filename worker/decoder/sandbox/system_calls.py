"""Linux' system calls by name: their numbers, and calling those for which Python has no function.

The table holds what the sandbox allows or needs, for the two architectures on which it works. The
numbers are part of the kernel's promise to programs and never change.
"""

import ctypes
import errno
import os
import struct
from dataclasses import dataclass
from typing import Any

# Name: number on x86_64, number on aarch64 (None: the architecture never had the call).
NUMBERS: dict[str, tuple[int, int | None]] = {
    # Descriptors that are open
    "read": (0, 63),
    "readv": (19, 65),
    "pread64": (17, 67),
    "write": (1, 64),
    "writev": (20, 66),
    "lseek": (8, 62),
    "fstat": (5, 80),
    "close": (3, 57),
    # Memory
    "brk": (12, 214),
    "mmap": (9, 222),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "mprotect": (10, 226),
    "madvise": (28, 233),
    # Threads
    "futex": (202, 98),
    "clone": (56, 220),
    "clone3": (435, 435),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "exit": (60, 93),
    "exit_group": (231, 94),
    # Signals to itself
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "tgkill": (234, 131),
    "restart_syscall": (219, 128),
    # Clocks
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "time": (201, None),
    # Questions about itself and the machine
    "getpid": (39, 172),
    "getppid": (110, 173),
    "gettid": (186, 178),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "getcpu": (309, 168),
    "getrandom": (318, 278),
    "getrusage": (98, 165),
    "times": (100, 153),
    "sysinfo": (99, 179),
    "uname": (63, 160),
    # Of these, only harmless uses
    "prctl": (157, 167),
    "prlimit64": (302, 261),
    # What builds the sandbox
    "capset": (126, 91),
    "landlock_create_ruleset": (444, 444),
    "landlock_restrict_self": (446, 446),
    "seccomp": (317, 277),
}


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A processor's own interface to the kernel."""

    column: int  # in NUMBERS
    audit: int  # what the kernel calls it in a filter's input (AUDIT_ARCH_*)
    first_foreign: int | None  # numbers from here on belong to another interface (x32), which is not filtered


ARCHITECTURES = {
    "x86_64": Architecture(column=0, audit=0xC000003E, first_foreign=0x40000000),
    "aarch64": Architecture(column=1, audit=0xC00000B7, first_foreign=None),
}


class Kernel:
    """The kernel that runs this process."""

    def __init__(self) -> None:
        self._call = ctypes.CDLL(None, use_errno=True).syscall
        self._call.restype = ctypes.c_long

    @property
    def architecture(self) -> Architecture:
        machine = os.uname().machine
        if machine not in ARCHITECTURES or struct.calcsize("P") != 8:
            raise OSError(errno.ENOSYS, f"the system calls of {machine} are not in the table")
        return ARCHITECTURES[machine]

    def number(self, name: str) -> int | None:
        """The number of a call, None where this architecture has no such call."""
        return NUMBERS[name][self.architecture.column]

    def call(self, name: str, *arguments: Any) -> int:
        """Make a system call; integers and ctypes' pointers are passed on as they are.

        Raises OSError with the kernel's errno.
        """
        wide = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
        result = int(self._call(ctypes.c_long(self.number(name) or 0), *wide))
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return result
