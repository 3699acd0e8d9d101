"""What a worker process loads once and every job uses: settings, connections, models."""

import os
import socket
import uuid
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

import structlog
from redis import Redis
from sqlalchemy import Engine

from core import queues
from core.errors import WeightsError
from core.model_version import read_model_version
from core.settings import Settings
from models.classifier import Classifier
from models.detector import FaceDetector
from storage.engine import connect
from storage.known.index import HashIndex
from storage.objects.choice import open_store
from storage.objects.store import ObjectStore
from worker.screening.loading import load_classifier, load_detector
from worker.screening.pipeline import Pipeline

log = structlog.get_logger()


@dataclass
class Context:
    settings: Settings
    owner: str  # of leases: unique per process
    _other: "Classifier | None" = field(
        default=None, init=False
    )  # of another model version that was asked for

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(settings=settings, owner=f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}")

    @cached_property
    def engine(self) -> Engine:
        return connect(self.settings.sql_url)

    @cached_property
    def objects(self) -> ObjectStore:
        return open_store(self.settings)

    @cached_property
    def redis(self) -> Redis:
        return queues.connect(self.settings.queue_url)

    @cached_property
    def hash_index(self) -> HashIndex:
        return HashIndex()

    @cached_property
    def classifier(self) -> Classifier:
        return self._load(self.settings.weights)

    def classifier_of(self, model_version: str) -> Classifier:
        """The settings' classifier, or one whose checkpoint is in the same folder.

        Raises WeightsError where none of them is this version: scores and explanations are never stored
        under another model's name.
        """
        if self.classifier.version.id == model_version:
            return self.classifier
        if self._other is None or self._other.version.id != model_version:
            path = self._beside(model_version)
            self._other = None  # freed before the next one is loaded: memory is planned for two models
            self._other = self._load(path)
        return self._other

    def _beside(self, model_version: str) -> Path:
        folder = self.settings.weights.resolve().parent
        for path in sorted(folder.glob("*.safetensors")):
            try:
                if read_model_version(path).id == model_version:
                    return path
            except WeightsError as error:
                log.warning("no checkpoint", reason=str(error))
        loaded = self.classifier.version.id
        reason = f"{model_version} is needed but {loaded} is loaded; put the needed checkpoint here"
        raise WeightsError(path=folder, reason=reason)

    def _load(self, path: Path) -> Classifier:
        classifier = load_classifier(self.settings, path)
        log.info(
            "model loaded",
            version=classifier.version.id,
            label=classifier.version.label,
            backend=classifier.backend.name,
            precision=classifier.backend.precision,
        )
        return classifier

    @cached_property
    def detector(self) -> FaceDetector:
        return load_detector(self.settings)

    @cached_property
    def pipeline(self) -> Pipeline:
        return Pipeline(self.settings, self.detector, self.classifier)

    def pipeline_of(self, model_version: str) -> Pipeline:
        """The pipeline with `classifier_of` that version, and its error."""
        classifier = self.classifier_of(model_version)
        if classifier is self.classifier:
            return self.pipeline
        return Pipeline(self.settings, self.detector, classifier)

    def forget_redis(self) -> None:
        """Reconnect at the next use."""
        self.__dict__.pop("redis", None)


_current: Context | None = None


def install(context: Context) -> None:
    """Make `context` the one that this process's jobs use."""
    global _current  # noqa: PLW0603  RQ calls jobs by name: it cannot be passed any other way
    _current = context


def current() -> Context:
    if _current is None:
        raise RuntimeError("jobs run in a worker process: start one with `facewarden worker`")
    return _current
