"""What an encoder must not do to the process that uses it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def scheduling_kept() -> Iterator[None]:
    """The calling thread is scheduled afterwards as it was before.

    SVT-AV1, opened by root, makes it a real-time thread of the highest priority, and every process that it
    starts inherits that. Where as many of those wait busily as there are cores, nothing else ever runs.
    """
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, priority)
