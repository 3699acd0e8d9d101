"""What a test of ingest works on: bucket, database, object store and Valkey, with short words for them."""

from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from sqlalchemy import Engine, select

from core import queues
from core.priorities import Priority
from core.settings import Settings
from ingest.bucket import BucketWatcher
from ingest.folders import Folders
from ingest.registration import Receipt, Registrar
from ingest.source import untaken
from storage import videos
from storage.engine import transaction
from storage.objects.folder import FolderStore
from storage.tables import Screening, Sighting

MP4 = b"\x00\x00\x00\x18ftypisom" + bytes(500)
SECOND = 10**9  # nanoseconds
LATER = 4_102_444_800 * SECOND  # in 2100: every file has settled by then


def ingested(paths: list[Path], registrar: Registrar, settings: Settings) -> list[Receipt]:
    """What `facewarden ingest` does with files and folders."""
    return [step.receipt for step in Folders(paths, registrar, settings).steps() if step.receipt]


@dataclass
class Site:
    settings: Settings
    engine: Engine
    objects: FolderStore
    registrar: Registrar
    redis: Redis

    @property
    def bucket(self) -> Path:
        return self.settings.bucket_folder

    def watcher(self) -> BucketWatcher:
        """A watcher as a fresh process makes it."""
        with transaction(self.engine) as session:
            known = list(videos.seen_in(session, BucketWatcher.source(self.settings), but="unreadable"))
        return BucketWatcher(self.settings, self.registrar, iter(known))

    def take(self, watcher: BucketWatcher | None = None) -> list[Receipt]:
        """Two looks, the second long after the files have settled."""
        watcher = watcher or self.watcher()
        assert not list(watcher.look(LATER))
        return list(watcher.look(LATER))

    def register(self, name: str, *, source: str = "test", priority: Priority = Priority.NORMAL) -> Receipt:
        return self.registrar.register(
            self.bucket / name, name=name, source=source, root=self.bucket, priority=priority
        )

    def untaken(self) -> int:
        with transaction(self.engine) as session:
            return untaken(session, self.settings)

    def screenings(self) -> list[Screening]:
        with transaction(self.engine) as session:
            return list(session.scalars(select(Screening).order_by(Screening.id)))

    def sightings(self) -> list[Sighting]:
        with transaction(self.engine) as session:
            return list(session.scalars(select(Sighting).order_by(Sighting.id)))

    def depth(self) -> int:
        return queues.depth(self.redis, queues.SCREEN)
