"""How much is taken in at once: no more while the queue is deep."""

import time
from collections.abc import Callable

import structlog
from redis import Redis
from redis.exceptions import RedisError

from core import queues
from core.errors import ServiceUnavailable
from core.priorities import Priority
from core.settings import Settings

log = structlog.get_logger()

PAUSE_SECONDS = 2.0  # between two looks at a queue that is full
AWAY_SECONDS = 10.0  # without asking, once Redis was away
LET_THROUGH = 100  # files between two looks at a queue that is not


class Backlog:
    """Lets files through one by one, from one thread.

    Without Redis nothing waits: what is taken in is in the database, and waits there.
    """

    def __init__(
        self,
        settings: Settings,
        priority: Priority,
        tell: Callable[[int | None], None],
    ) -> None:
        """`tell` is called with the number of screenings that are waited for, and with None afterwards."""
        self._settings, self._priority, self._tell = settings, priority, tell
        self._redis: Redis | None = None
        self._away_until = 0.0  # time.monotonic()
        self._left = 0  # to let through

    def wait(self) -> None:
        """Until there is room for another one."""
        if self._left:
            self._left -= 1
            return
        limit, told = self._settings.ingest.queue_limit, False
        while (waiting := self._waiting()) >= limit:
            self._tell(waiting)
            told = True
            time.sleep(PAUSE_SECONDS)
        if told:
            self._tell(None)
        self._left = min(LET_THROUGH, limit - waiting) - 1

    def _waiting(self) -> int:
        if time.monotonic() < self._away_until:
            return 0
        try:
            self._redis = self._redis or queues.connect(
                self._settings.queue_url, answer_seconds=queues.ANSWER_SECONDS
            )
            return queues.depths(self._redis, queues.SCREEN)[self._priority]
        except (ServiceUnavailable, RedisError, OSError) as error:
            self._redis, self._away_until = None, time.monotonic() + AWAY_SECONDS
            log.warning("the queue's depth is not known", reason=str(error))
            return 0
