"""Whether a process can do its work: database, queue and object store answer, its model is loaded."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing

from sqlalchemy import Engine

from core import queues
from core.errors import FacewardenError
from core.settings import Settings
from storage.migrate import require
from storage.objects.choice import open_store
from storage.objects.store import Daily

KEPT_SECONDS = 2.0  # an answer counts this long: whoever asks often must not load the services
PATIENCE_SECONDS = 5.0  # for Redis, and for an answer that another request already waits for
OK = "ok"
SLOW = "has not answered yet"

Check = Callable[[], str]  # OK, or what is missing; or raises a FacewardenError that says so


class Readiness:
    """Makes the checks one request at a time, and keeps what they found for a moment."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        self._turn = threading.Lock()
        self._found: dict[str, str] = {}
        self._found_at = float("-inf")  # time.monotonic()

    def look(self) -> dict[str, str]:
        """What each check says, by its name."""
        if not self._turn.acquire(timeout=PATIENCE_SECONDS):
            return dict.fromkeys(self._checks, SLOW)
        try:
            if time.monotonic() - self._found_at > KEPT_SECONDS:
                self._found = {name: _said(check) for name, check in self._checks.items()}
                self._found_at = time.monotonic()
            return self._found
        finally:
            self._turn.release()


def checks_of(settings: Settings, engine: Engine, loaded: threading.Event | None) -> dict[str, Check]:
    """The checks of a process; `loaded` is set once a worker has its model, and None where there is none."""
    objects = open_store(settings)

    def database() -> str:
        require(engine)
        return OK

    def queue() -> str:
        with closing(queues.connect(settings.queue_url, answer_seconds=PATIENCE_SECONDS)):
            return OK

    def store() -> str:
        objects.last_done(Daily.SWEEP)  # the cheapest request that a store answers
        return OK

    def model() -> str:
        return OK if loaded is None or loaded.is_set() else "not loaded yet"

    checks = {"database": database, "queue": queue, "objects": store}
    return checks if loaded is None else checks | {"model": model}


def _said(check: Check) -> str:
    try:
        return check()
    except FacewardenError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
