"""No access at all to files, ports and foreign processes, by Linux' security module Landlock.

A process gives up every kind of access that its kernel knows, without exception. Open descriptors
stay usable. It needs no privilege and cannot be undone.

Of the packages, `landlock` and `py-landlock` are alphas that stop at an older ABI, and `landlockpy` is some
weeks old; two of the three start `ldconfig` to find the C library. An empty ruleset takes three calls.
"""

import ctypes
import errno
import os

from worker.decoder.sandbox.system_calls import Kernel

CREATE_RULESET_VERSION = 1  # flag: tell the ABI's version

# Fields of a ruleset, each a set of bits: accesses to files (ABI 1), ports (ABI 4), and what is out of
# scope: abstract Unix sockets of others, and signals to others (ABI 6).
FIELDS = 3

# What a kernel answers to a bit or field that is newer than itself.
UNKNOWN = (errno.EINVAL, errno.E2BIG)


def restrict(kernel: Kernel) -> str:
    """Give up all access, in this thread and those that it starts; returns what holds, in words.

    Raises OSError where the kernel has no Landlock or does not let us use it.
    """
    abi = kernel.call("landlock_create_ruleset", None, 0, CREATE_RULESET_VERSION)
    ruleset = _create(kernel, [_known(kernel, field) for field in range(FIELDS)])
    try:
        kernel.call("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)
    return f"ABI {abi}"


def _known(kernel: Kernel, field: int) -> int:
    """All bits of a field that this kernel knows. They were assigned in order, so each is tried."""
    known = 0
    for bit in range(64):
        rights = [0] * FIELDS
        rights[field] = 1 << bit
        try:
            os.close(_create(kernel, rights))
        except OSError as error:
            if error.errno in UNKNOWN:
                break
            raise
        known |= 1 << bit
    return known


def _create(kernel: Kernel, rights: list[int]) -> int:
    """The descriptor of a ruleset that handles `rights`, one number per field."""
    fields = (ctypes.c_uint64 * FIELDS)(*rights)
    return kernel.call("landlock_create_ruleset", ctypes.byref(fields), ctypes.sizeof(fields), 0)
