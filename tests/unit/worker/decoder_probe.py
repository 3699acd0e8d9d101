"""A decoder process that, instead of decoding, tries what a decoder taken over would try.

    python decoder_probe.py USER SANDBOX TARGETS

Everything before the attempts is the real decoder's: its start, its imports, its lock-down. USER is the
user id to become first (-1: stay). SANDBOX is `locked`, or `open` to leave the lock-down out: then the
attempts show what they would do. TARGETS is JSON: a folder with the file `file` and the empty folder `empty`
in it, the process id of a victim, a port that listens, and what to try where it is open. What came of
each attempt is the reason of a `broken_media`.
"""

import ctypes
import fcntl
import json
import mmap
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable
from io import FileIO
from typing import Any

from worker.decoder import process as decoder_process
from worker.decoder.protocol import Channel, Request
from worker.decoder.sandbox import lockdown, seccomp
from worker.decoder.sandbox.system_calls import Kernel
from worker.decoder.stills import decoding as stills
from worker.decoder.video import decoding as videos

# Calls for which Python has no function, by architecture.
X86_64 = {
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "vfork": 58, "execveat": 322,
    "unshare": 272, "setns": 308, "shmget": 29, "msgget": 68, "semget": 64, "memfd_create": 319,
    "memfd_secret": 447, "userfaultfd": 323, "bpf": 321, "perf_event_open": 298, "keyctl": 250,
    "add_key": 248, "mount": 165, "inotify_init1": 294, "rt_sigqueueinfo": 129, "tkill": 200,
    "personality": 135, "timer_create": 222, "seccomp": 317, "openat2": 437, "statx": 332,
    "io_uring_setup": 425, "pidfd_open": 434, "pidfd_getfd": 438,
}  # fmt: skip
AARCH64 = {
    "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "execveat": 281, "unshare": 97,
    "setns": 268, "shmget": 194, "msgget": 186, "semget": 190, "memfd_create": 279, "memfd_secret": 447,
    "userfaultfd": 282, "bpf": 280, "perf_event_open": 241, "keyctl": 219, "add_key": 217, "mount": 40,
    "inotify_init1": 26, "rt_sigqueueinfo": 138, "tkill": 130, "personality": 92, "timer_create": 107,
    "seccomp": 277, "openat2": 437, "statx": 291, "io_uring_setup": 425, "pidfd_open": 434,
    "pidfd_getfd": 438,
}  # fmt: skip
NUMBERS = X86_64 if os.uname().machine == "x86_64" else AARCH64

CLONE_NEWUSER, SIGCHLD, PTRACE_ATTACH, IPC_PRIVATE, IPC_CREAT = 0x10000000, 17, 16, 0, 0o1000
PR_SET_DUMPABLE = 4

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p


def call(name: str, *arguments: Any) -> int:
    wide = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return checked(libc.syscall(NUMBERS[name], *wide))


def checked(result: int) -> int:
    if result == -1:
        raise OSError(ctypes.get_errno(), "")
    return result


def process(start: Callable[[], int]) -> None:
    """`start` returns as fork does."""
    child = start()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def cloned(flags: int) -> int:
    return checked(libc.syscall(Kernel().number("clone"), ctypes.c_long(flags), None, None, None, None))


def cloned_newly() -> int:
    """By clone3, with the arguments of a fork."""
    arguments = (ctypes.c_uint64 * 11)(0, 0, 0, 0, SIGCHLD)
    return checked(libc.syscall(Kernel().number("clone3"), ctypes.byref(arguments), ctypes.c_long(88)))


def into(address: int, pid: int, name: str) -> None:
    """Reading or writing 8 bytes of another process."""
    memory = ctypes.create_string_buffer(8)
    ours = (ctypes.c_void_p * 2)(ctypes.addressof(memory), 8)
    theirs = (ctypes.c_void_p * 2)(address, 8)
    call(name, pid, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0)


def connect(port: int) -> None:
    with socket.socket() as made:
        made.connect(("127.0.0.1", port))


def executable_memory() -> None:
    address = libc.mmap(None, ctypes.c_size_t(4096), 3, 0x22, -1, ctypes.c_long(0))
    checked(libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(4096), 5))


def attempts(folder: str, victim: int, port: int, request: Request) -> dict[str, Callable[[], Any]]:
    """In an order in which, without a lockdown, each can succeed."""
    file, empty, made = f"{folder}/file", f"{folder}/empty", f"{folder}/made"
    return {
        "stat": lambda: os.stat(file),
        "access": lambda: checked(libc.access(file.encode(), os.R_OK)),
        "open": lambda: os.open(file, os.O_RDONLY),
        "open to write": lambda: os.open(made, os.O_CREAT | os.O_WRONLY),
        "open a folder": lambda: os.open(folder, os.O_RDONLY | os.O_DIRECTORY),
        "open as a handle": lambda: os.open(file, os.O_PATH),
        "openat2": lambda: call("openat2", -100, file.encode(), ctypes.byref((ctypes.c_uint64 * 3)()), 24),
        "statx": lambda: call("statx", -100, file.encode(), 0, 0xFFF, ctypes.create_string_buffer(256)),
        "list": lambda: os.listdir(folder),
        "readlink": lambda: os.readlink("/proc/self/exe"),
        "getcwd": os.getcwd,
        "chdir": lambda: os.chdir(folder),
        "chmod": lambda: os.chmod(file, 0o600),
        "chmod of what is open": lambda: os.fchmod(request.file, 0o600),
        "chown": lambda: os.chown(file, os.getuid(), -1),
        "utime": lambda: os.utime(file, (0, 0)),
        "truncate": lambda: os.truncate(file, 0),
        "truncate what is shared": lambda: os.ftruncate(request.memory, 0),
        "link": lambda: os.link(file, f"{folder}/link"),
        "symlink": lambda: os.symlink(file, f"{folder}/symlink"),
        "mkfifo": lambda: os.mkfifo(f"{folder}/fifo"),
        "mkdir": lambda: os.mkdir(f"{folder}/dir"),
        "rmdir": lambda: os.rmdir(empty),
        "rename": lambda: os.rename(file, f"{folder}/renamed"),
        "unlink": lambda: os.unlink(f"{folder}/renamed"),
        "socket": socket.socket,
        "unix socket": lambda: socket.socket(socket.AF_UNIX),
        "socketpair": socket.socketpair,
        "connect": lambda: connect(port),
        "connect what is open": lambda: checked(libc.connect(0, ctypes.create_string_buffer(16), 16)),
        "pipe": os.pipe,
        "dup": lambda: os.dup(0),
        "memfd_create": lambda: call("memfd_create", b"x", 0),
        "eventfd": lambda: os.eventfd(0),
        "inotify": lambda: call("inotify_init1", 0),
        "shared memory of System V": lambda: call("shmget", IPC_PRIVATE, 4096, IPC_CREAT | 0o600),
        "messages of System V": lambda: call("msgget", IPC_PRIVATE, IPC_CREAT | 0o600),
        "semaphores of System V": lambda: call("semget", IPC_PRIVATE, 1, IPC_CREAT | 0o600),
        "anonymous executable memory": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC),
        "memory made executable": executable_memory,
        "fork": lambda: process(os.fork),
        "vfork": lambda: process(lambda: call("vfork")),
        "clone": lambda: process(lambda: cloned(SIGCHLD)),
        "clone3": lambda: process(cloned_newly),
        "posix_spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
        "set a limit of another": lambda: resource.prlimit(victim, resource.RLIMIT_CORE, (0, 0)),
        "read a limit of another": lambda: resource.prlimit(victim, resource.RLIMIT_CORE),
        "read another's memory": lambda: into(4096, victim, "process_vm_readv"),
        "write another's memory": lambda: into(4096, victim, "process_vm_writev"),
        "ptrace": lambda: call("ptrace", PTRACE_ATTACH, victim, 0, 0),
        "pidfd_open": lambda: call("pidfd_open", victim, 0),
        "be dumpable": lambda: checked(libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)),
        "priority of another": lambda: os.setpriority(os.PRIO_PROCESS, victim, 19),
        "affinity of another": lambda: os.sched_setaffinity(victim, {0}),
        "is another there": lambda: os.kill(victim, 0),
        "queue a signal": lambda: call("rt_sigqueueinfo", victim, 0, ctypes.create_string_buffer(128)),
        "tkill": lambda: call("tkill", victim, 0),
        "kill": lambda: os.kill(victim, signal.SIGKILL),
        "kill the group of the parent": lambda: os.killpg(os.getpgid(request.parent), 0),
        "another session": os.setsid,
        "user namespace": lambda: call("unshare", CLONE_NEWUSER),
        "setns": lambda: call("setns", request.file, 0),
        "mount": lambda: call("mount", 0, b"/", 0, 0, 0),
        "chroot": lambda: os.chroot("/"),
        "another user": lambda: os.setuid(os.getuid()),
        "io_uring": lambda: call("io_uring_setup", 1, ctypes.create_string_buffer(120)),
        "userfaultfd": lambda: call("userfaultfd", 1),
        "bpf": lambda: call("bpf", 0, 0, 0),
        "perf_event_open": lambda: call("perf_event_open", ctypes.create_string_buffer(128), 0, -1, -1, 0),
        "keyctl": lambda: call("keyctl", 0, -3, 0),
        "add_key": lambda: call("add_key", b"user", b"x", b"x", 1, -3),
        "memfd_secret": lambda: call("memfd_secret", 0),
        "personality": lambda: call("personality", 0xFFFFFFFF),
        "a filter of its own": lambda: call("seccomp", 1, 0, 0),
        "terminal": lambda: os.get_terminal_size(0),
        "fcntl": lambda: fcntl.fcntl(request.file, fcntl.F_GETFD),
        "execve": lambda: os.execv("/bin/true", ["true"]),
        "execveat": lambda: call("execveat", request.file, b"", 0, 0, 0x1000),
    }


def outcome(attempt: Callable[[], Any]) -> str:
    try:
        attempt()
    except OSError as error:
        return f"errno {error.errno}"
    except Exception as error:
        return type(error).__name__
    return "done"


# Linux does not filter these two of x86_64: they are its own way back from a breakpoint of its own, and end
# whoever comes from elsewhere.
UNFILTERED = {335, 336} if NUMBERS is X86_64 else set()


def every_other_call() -> list[int]:
    """Numbers of calls that are neither refused nor on the list."""
    kernel = Kernel()
    known = {kernel.number(name) for name in (*seccomp.ALLOWED, *seccomp.rules(), "clone3")}
    strangers = []
    for number in set(range(600)) - known - UNFILTERED:
        result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(0)] * 6)
        if (result, ctypes.get_errno()) != (-1, 1):
            strangers.append(number)
    return strangers


def still_possible(request: Request) -> dict[str, str]:
    """What decoding takes."""

    def start() -> None:
        ran: list[bool] = []
        thread = threading.Thread(target=lambda: ran.append(True))
        thread.start()
        thread.join()
        if not ran:
            raise RuntimeError("it did not run")

    return {
        "thread": outcome(start),
        "read": outcome(lambda: os.pread(request.file, 10, 0)),
        "memory": outcome(lambda: bytearray(1 << 26)),
        "signal to itself": outcome(lambda: signal.raise_signal(signal.SIGCHLD)),
        "limit": outcome(lambda: resource.getrlimit(resource.RLIMIT_AS)),
    }


def probe(file: FileIO, request: Request, channel: Channel) -> int:
    del file
    targets = json.loads(sys.argv[3])
    tried = attempts(targets["folder"], targets["victim"], targets["port"], request)
    if "vfork" not in NUMBERS:
        del tried["vfork"]
    if sys.argv[2] == "open":
        tried = {name: attempt for name, attempt in tried.items() if name in targets["control"]}
    outcomes = {name: outcome(attempt) for name, attempt in tried.items()}
    locked = sys.argv[2] == "locked"
    reason = {
        "outcomes": outcomes,
        "strangers": every_other_call() if locked else [],
        "possible": still_possible(request),
        "user": os.getuid(),
    }
    channel.send("error", code="broken_media", fields={"reason": json.dumps(reason)})
    os._exit(0)


if __name__ == "__main__":
    # Both decoders are loaded, as whichever is wanted would be; another user may not be able to read them.
    stills.prepare()
    assert videos
    if int(sys.argv[1]) >= 0:
        os.setgroups([])
        os.setgid(int(sys.argv[1]))
        os.setuid(int(sys.argv[1]))
    decoder_process._decoder_of = lambda _: probe
    if sys.argv[2] == "open":
        lockdown.lock_down = lambda **_: []
    decoder_process.main()
