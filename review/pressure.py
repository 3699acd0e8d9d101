"""How much more work is taken from other services: who sends too much is told when to come again.

The counts are in Redis, for all review processes together. Without Redis nobody is held back: what is taken
in is in the database, and waits there.
"""

import time

import structlog
from redis import Redis
from redis.exceptions import RedisError

from core import queues
from core.errors import QueueFull, ServiceUnavailable, TooManyUploads
from core.priorities import Priority
from core.settings import Settings

log = structlog.get_logger()

MINUTE = 60  # seconds over which uploads are counted
QUEUE_SECONDS = 30  # until a full queue may have room again
PAUSE_SECONDS = 10.0  # without asking, once Redis was away
ANSWER_SECONDS = 2.0


class Pressure:
    """One for the whole process; threads may share it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._redis: Redis | None = None
        self._away_until = 0.0  # time.monotonic()

    def check(self, account_id: int, name: str, priority: Priority) -> None:
        """Before an upload of the account called `name`. Raises TooManyUploads or QueueFull."""
        if time.monotonic() < self._away_until:
            return
        try:
            redis = self._redis = self._redis or queues.connect(
                self._settings.queue_url, answer_seconds=ANSWER_SECONDS
            )
            waiting = queues.depths(redis, queues.SCREEN)[priority]
            now = time.time()
            uploads = self._counted(redis, account_id, int(now // MINUTE))
        except (ServiceUnavailable, RedisError, OSError) as error:
            self._redis, self._away_until = None, time.monotonic() + PAUSE_SECONDS
            log.warning("uploads are not counted", reason=str(error))
            return
        most = self._settings.review.uploads_per_minute
        if uploads > most:
            raise TooManyUploads(name=name, limit=most, seconds=MINUTE - int(now % MINUTE))
        limit = self._settings.review.queue_limit
        if waiting >= limit:
            raise QueueFull(waiting=waiting, priority=priority, limit=limit, seconds=QUEUE_SECONDS)

    def _counted(self, redis: Redis, account_id: int, minute: int) -> int:
        """Counts one more; how many there were in this minute."""
        key = f"facewarden:uploads:{account_id}:{minute}"
        with redis.pipeline() as asked:
            asked.incr(key)
            asked.expire(key, 2 * MINUTE)
            count, _ = asked.execute()
        return int(count)
