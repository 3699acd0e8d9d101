"""Things that a process does again and again, each in a thread of its own, so that none waits for another."""

import threading
from collections.abc import Callable

import structlog

from core.errors import FacewardenError

log = structlog.get_logger()

LONGEST_PAUSE_SECONDS = 30.0  # between retries while a service is down
STOP_SECONDS = 10.0  # for one to end; what it does may be broken off


class Chore:
    """Calls `once` until it is stopped. Its errors are logged, never raised."""

    def __init__(
        self,
        name: str,
        once: Callable[[], object],
        pause_seconds: float,
        *,
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        """Without a pause after a call that returns True: there may be more to do."""
        self._name, self._once, self._pause = name, once, pause_seconds
        self._stop_seconds = stop_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ask_to_stop(self) -> None:
        self._stop.set()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(self._stop_seconds)

    def _run(self) -> None:
        pause = self._pause
        while not self._stop.is_set():
            try:
                again = self._once() is True
                pause = 0.0 if again else self._pause
            except FacewardenError as error:
                log.warning(f"{self._name} waits", reason=str(error))
                pause = self._longer(pause)
            except Exception:
                log.exception(f"{self._name} goes on")
                pause = self._longer(pause)
            self._stop.wait(pause)

    def _longer(self, pause: float) -> float:
        return max(self._pause, min(2 * max(pause, 1.0), LONGEST_PAUSE_SECONDS))
