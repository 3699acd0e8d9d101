"""What a worker process loads once and every job uses: settings, connections, models."""

import os
import socket
import uuid
from dataclasses import dataclass
from functools import cached_property

import structlog
from redis import Redis
from sqlalchemy import Engine

from core import queues
from core.settings import Settings
from models.classifier import Classifier
from models.detector import FaceDetector
from models.device import choose_device
from storage.engine import connect
from storage.objects import FolderStore
from worker.pipeline import Pipeline

log = structlog.get_logger()


@dataclass
class Context:
    settings: Settings
    owner: str  # of leases: unique per process

    @classmethod
    def of(cls, settings: Settings) -> "Context":
        return cls(settings=settings, owner=f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}")

    @cached_property
    def engine(self) -> Engine:
        return connect(self.settings.sql_url)

    @cached_property
    def objects(self) -> FolderStore:
        return FolderStore(self.settings.objects_folder)

    @cached_property
    def redis(self) -> Redis:
        return queues.connect(self.settings.queue_url)

    @cached_property
    def classifier(self) -> Classifier:
        classifier = Classifier.load(
            self.settings.weights,
            backend=self.settings.backend,
            device=self.settings.device,
            batch_size=self.settings.batch_size,
            cache=self.settings.home / "converted",
        )
        log.info(
            "model loaded",
            version=classifier.version.id,
            label=classifier.version.label,
            backend=classifier.backend.name,
            precision=classifier.backend.precision,
        )
        return classifier

    @cached_property
    def pipeline(self) -> Pipeline:
        detector = FaceDetector(self.settings.detection, choose_device(self.settings.device))
        return Pipeline(self.settings, detector, self.classifier)

    def forget_redis(self) -> None:
        """Connect anew at the next use."""
        self.__dict__.pop("redis", None)


_current: Context | None = None


def install(context: Context) -> None:
    """Make `context` the one that this process's jobs use."""
    global _current  # noqa: PLW0603  RQ calls jobs by name: there is no other way to hand it over
    _current = context


def current() -> Context:
    if _current is None:
        raise RuntimeError("jobs run in a worker process: start one with `facewarden worker`")
    return _current
