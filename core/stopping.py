"""How a process that goes on until somebody stops it is told to."""

import signal
import threading
from types import FrameType


def asked_to_stop() -> threading.Event:
    """An event that SIGTERM and SIGINT set from now on; to be called by the main thread."""
    stop = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    return stop
