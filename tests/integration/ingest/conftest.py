"""A migrated database, an object store, a bucket and a real Valkey, empty for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from core import queues
from core.settings import IngestSettings, Settings
from ingest.registration import Registrar
from storage.engine import connect
from storage.migrate import upgrade
from storage.objects.folder import FolderStore
from tests.integration.ingest.site import Site


@pytest.fixture
def site(settings: Settings, checkpoint: Path, valkey_url: str) -> Iterator[Site]:
    settings = settings.model_copy(
        update={
            "redis_url": SecretStr(valkey_url),
            "weights": checkpoint,
            "ingest": IngestSettings(poll_seconds=0.05, settle_seconds=0, reconcile_seconds=0.2),
        }
    )
    settings.bucket.mkdir()
    engine = connect(settings.sql_url)
    upgrade(engine)
    objects = FolderStore(settings.objects_folder)
    redis = queues.connect(valkey_url)
    redis.flushall()
    yield Site(settings, engine, objects, Registrar(settings, engine, objects), redis)
    redis.close()
    engine.dispose()
