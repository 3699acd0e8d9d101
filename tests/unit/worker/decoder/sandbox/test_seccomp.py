"""The filter, run as the kernel would run it, on every call and on the arguments that matter."""

import os
import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.decoder.sandbox import seccomp
from worker.decoder.sandbox.system_calls import ARCHITECTURES, NUMBERS, Architecture, Kernel

X86_64, AARCH64 = ARCHITECTURES["x86_64"], ARCHITECTURES["aarch64"]
I386 = 0x40000003
ALL_BITS = (1 << 64) - 1

# Flags of clone and clone3.
CLONE_THREAD, CLONE_VM, CLONE_NEWUSER, CLONE_NEWNET = 0x10000, 0x100, 0x10000000, 0x40000000
SIGCHLD = 17


class Of(Kernel):
    """A kernel of the given architecture."""

    def __init__(self, architecture: Architecture) -> None:
        self.given = architecture

    @property
    def architecture(self) -> Architecture:
        return self.given


def answer(
    architecture: Architecture, number: int, arguments: Sequence[int] = (), audit: int | None = None
) -> int:
    """What the filter says to a call: the kernel's machine for classic BPF, as far as it is used."""
    words = [*arguments, *[0] * (6 - len(arguments))]
    audit = architecture.audit if audit is None else audit
    data = struct.pack("<IIQ6Q", number, audit, 0, *[word & ALL_BITS for word in words])
    code = list(seccomp.program(Of(architecture)))
    assert len(code) < 4096  # the kernel takes no longer one
    at = accumulator = 0
    while True:
        what, if_true, if_false, operand = code[at]
        at += 1
        if what == seccomp.RETURN:
            return operand
        if what == seccomp.LOAD:
            accumulator = struct.unpack_from("<I", data, operand)[0]
        elif what == seccomp.AND:
            accumulator &= operand
        elif what == seccomp.EQUALS:
            at += if_true if accumulator == operand else if_false
        else:
            assert what == seccomp.AT_LEAST
            at += if_true if accumulator >= operand else if_false


def call(name: str, *arguments: int, architecture: Architecture = X86_64) -> int:
    number = NUMBERS[name][architecture.column]
    assert number is not None
    return answer(architecture, number, arguments)


@pytest.mark.parametrize("architecture", [X86_64, AARCH64], ids=["x86_64", "aarch64"])
def test_every_call_has_one_answer(architecture: Architecture) -> None:
    numbers = {name: NUMBERS[name][architecture.column] for name in NUMBERS}
    allowed = {numbers[name] for name in seccomp.ALLOWED}
    judged = {numbers[name] for name in seccomp.rules()}
    for number in set(range(600)) - judged:
        expected = seccomp.ALLOW if number in allowed else seccomp.REFUSE
        if number == numbers["clone3"]:
            expected = seccomp.UNKNOWN
        assert answer(architecture, number) == expected, number


@given(st.integers(600, (1 << 30) - 1))
def test_a_call_that_is_not_invented_yet_is_refused(number: int) -> None:
    assert answer(X86_64, number) == seccomp.REFUSE


@given(st.integers(0, (1 << 32) - 1), st.sampled_from([X86_64, AARCH64]))
def test_a_call_of_another_architecture_ends_it(number: int, architecture: Architecture) -> None:
    assert answer(architecture, number, audit=I386) == seccomp.KILL


@given(st.integers(1 << 30, (1 << 32) - 1))
def test_a_call_of_x32_ends_it(number: int) -> None:
    assert answer(X86_64, number) == seccomp.KILL


@pytest.mark.parametrize("architecture", [X86_64, AARCH64], ids=["x86_64", "aarch64"])
def test_a_thread_may_start(architecture: Architecture) -> None:
    for flags in (seccomp.THREAD, seccomp.THREAD | seccomp.DETACHED):
        assert call("clone", flags, architecture=architecture) == seccomp.ALLOW


@given(st.integers(0, (1 << 32) - 1))
def test_no_other_flags_start_anything(flags: int) -> None:
    if flags & ~seccomp.DETACHED == seccomp.THREAD:
        return
    assert call("clone", flags) == seccomp.REFUSE


@pytest.mark.parametrize(
    "flags",
    [
        0,
        SIGCHLD,
        CLONE_VM | SIGCHLD,
        CLONE_THREAD,
        seccomp.THREAD | SIGCHLD,
        seccomp.THREAD | CLONE_NEWUSER,
        seccomp.THREAD | CLONE_NEWNET,
        seccomp.THREAD & ~CLONE_THREAD,
    ],
)
def test_a_process_may_not_start(flags: int) -> None:
    assert call("clone", flags) == seccomp.REFUSE


@given(st.integers(0, ALL_BITS))
def test_no_memory_becomes_executable(protection: int) -> None:
    expected = seccomp.REFUSE if protection & seccomp.PROT_EXEC else seccomp.ALLOW
    assert call("mmap", 0, 4096, protection, 0x22, -1, 0) == expected
    assert call("mprotect", 0, 4096, protection) == expected


@given(st.integers(-(1 << 31), (1 << 31) - 1))
def test_signals_reach_only_itself(process: int) -> None:
    assert call("tgkill", process, 1, 9) == (seccomp.ALLOW if process == os.getpid() else seccomp.REFUSE)
    assert call("tgkill", os.getpid(), 1, 9) == seccomp.ALLOW


def test_of_prctl_only_the_name_of_a_thread_is_left() -> None:
    for option in range(100):
        expected = seccomp.ALLOW if option == seccomp.PR_SET_NAME else seccomp.REFUSE
        assert call("prctl", option) == expected


def test_limits_can_be_read_and_not_set() -> None:
    assert call("prlimit64", 0, 7, 0, 1 << 40) == seccomp.ALLOW
    assert call("prlimit64", os.getppid(), 7, 0, 1 << 40) == seccomp.REFUSE
    assert call("prlimit64", 0, 7, 1 << 40, 0) == seccomp.REFUSE
    assert call("prlimit64", 0, 7, 4096, 0) == seccomp.REFUSE


def test_no_number_stands_in_the_table_twice() -> None:
    for architecture in ARCHITECTURES.values():
        numbers = [NUMBERS[name][architecture.column] for name in NUMBERS]
        known = [number for number in numbers if number is not None]
        assert len(known) == len(set(known))
