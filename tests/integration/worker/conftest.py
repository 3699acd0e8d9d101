"""A whole small system: SQLite, a real Valkey, a small CNN that calls every face fake."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from core import queues
from core.settings import Settings
from storage.engine import connect
from storage.migrate import upgrade
from tests.media import media

__all__ = ["media"]


@pytest.fixture
def system(settings: Settings, valkey_url: str, checkpoint: Path) -> Settings:
    """Settings of a whole small system, its queue empty."""
    queues.connect(valkey_url).flushall()
    changes = {"redis_url": valkey_url, "weights": checkpoint, "backend": "fp32"}
    lime = {"lime": {"samples": 20, "segments": 12}}
    return Settings(**(settings.model_dump(exclude_unset=True) | changes | lime), _env_file=None)


@pytest.fixture
def engine(system: Settings) -> Iterator[Engine]:
    made = connect(system.sql_url)
    upgrade(made)
    yield made
    made.dispose()
