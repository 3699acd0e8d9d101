"""Looks at the keys that events named. Any number of processes may do so at once."""

import structlog
from sqlalchemy import Engine

from core.errors import BucketRefused, FacewardenError
from core.priorities import Priority
from ingest.registration import Intake
from ingest.s3.keys import Keys
from storage import key_looks
from storage.engine import transaction
from storage.key_looks import Look

log = structlog.get_logger()

MOST = 20  # keys claimed at once: few, so that other processes have their share
CLAIM_SECONDS = 900.0  # longer than those take, unless they are huge: then another process looks as well
RETRY_SECONDS = 5.0  # after an object that was replaced while it was read
MOST_TRIES = 5  # then the next listing finds it


class Looker:
    def __init__(self, keys: Keys, engine: Engine) -> None:
        self._keys, self._engine = keys, engine

    def run_once(self) -> bool:
        """Looks at the next keys; whether there were any. Raises RetryableError if a service is down."""
        with transaction(self._engine) as session:
            looks = key_looks.claim(session, self._keys.bucket.name, most=MOST, seconds=CLAIM_SECONDS)
        left = {look.id: look for look in looks}
        done: dict[str, bool] = {}
        try:
            for look in looks:
                if look.key not in done:
                    done[look.key] = self._look(look)
                with transaction(self._engine) as session:
                    if done[look.key]:
                        key_looks.remove(session, [look])
                    else:
                        key_looks.postpone(session, [look], seconds=RETRY_SECONDS)
                del left[look.id]
        except FacewardenError:
            with transaction(self._engine) as session:
                key_looks.postpone(session, list(left.values()), seconds=RETRY_SECONDS)
            raise
        return bool(looks)

    def _look(self, look: Look) -> bool:
        """Take the object in, if it is new; False if it should be looked at again."""
        try:
            entry = self._keys.bucket.head(look.key)
        except BucketRefused as error:
            # A server that does not let us list says so of a key that is gone, too.
            log.warning("not looked at", key=look.key, reason=str(error))
            return True
        if entry is None or not self._keys.sort([entry]).wanted:
            return True
        receipt = self._keys.take(entry, Priority.NORMAL)
        return receipt.intake != Intake.UNSETTLED or look.tries >= MOST_TRIES
