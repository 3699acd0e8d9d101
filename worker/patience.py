"""Waiting for a service that is down, so that finished work is not thrown away."""

import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from core.errors import ServiceUnavailable

log = structlog.get_logger()

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0

Answer = TypeVar("Answer")


def patiently(ask: Callable[[], Answer], *, heartbeat: Callable[[], None] | None = None) -> Answer:
    """The result of `ask`, retried for as long as its service is down.

    `heartbeat` is called before each retry: what it raises ends the waiting. So does the worker's own alarm
    at the job's deadline.
    """
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            return ask()
        except ServiceUnavailable as error:
            log.warning("waiting for a service", reason=str(error))
        if heartbeat is not None:
            heartbeat()
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
