"""Waiting for what another process or thread does. No test may fail because a machine is slow.

A test gives up only when nothing has moved for PATIENCE_SECONDS; what has begun to move may take as long as
pytest's own limit.
"""

import subprocess
import time
from collections.abc import Callable

# Many times what a busy, slow machine needs for a step: starting a process that imports torch, say.
PATIENCE_SECONDS = 600.0
LOOK_SECONDS = 0.05


def until(
    happened: Callable[[], object],
    what: str,
    *,
    moving: Callable[[], object] = lambda: None,  # a value that changes for as long as there is progress
    story: Callable[[], str] = str,  # what to show where it never happened: the end of a log
    look: Callable[[], object] = lambda: time.sleep(LOOK_SECONDS),  # how to pass the time between two looks
) -> None:
    """Look until it has happened; an AssertionError that says what never did where nothing moves any more."""
    since, before = time.monotonic(), moving()
    while not happened():
        now = moving()
        if now != before:
            since, before = time.monotonic(), now
        assert time.monotonic() - since < PATIENCE_SECONDS, f"never: {what}\n{story()}"
        look()


def ended(process: "subprocess.Popen[bytes] | subprocess.Popen[str]") -> int:
    """The exit code of a process that is about to end."""
    return process.wait(PATIENCE_SECONDS)
