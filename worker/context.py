"""What a worker process loads once and every job uses: settings, connections, models."""

import hashlib
import os
import socket
import uuid
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

import structlog
from redis import Redis
from rq.timeouts import JobTimeoutException
from sqlalchemy import Engine

from core import queues
from core.errors import CheckpointMissing, WeightsError
from core.model_version import checkpoint_of, stored_values
from core.settings import Settings
from models.classifier import Classifier
from models.detector import FaceDetector
from storage import model_versions
from storage.engine import connect, reading, transaction
from storage.known.index import HashIndex
from storage.objects.choice import open_store
from storage.objects.store import ObjectStore
from worker.screening.loading import load_classifier, load_detector
from worker.screening.pipeline import Pipeline
from worker.screening.shadow import Shadow

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
        """Of the version that screens new videos: the one that was promoted last, or the settings'.

        Raises WeightsError, and CheckpointMissing where the promoted one's checkpoint is not here.
        """
        with reading(self.engine) as session:
            promoted = model_versions.active(session)
        return self._load(self.settings.weights if promoted is None else self._checkpoint(promoted))

    def classifier_of(self, model_version: str) -> Classifier:
        """The classifier that screens new videos, or one whose checkpoint is in the same folder.

        Raises WeightsError where none of them is this version, or CheckpointMissing if it was ever promoted:
        scores and explanations are never stored under another model's name.
        """
        if self.classifier.version.id == model_version:
            return self.classifier
        if self._other is None or self._other.version.id != model_version:
            path = self._checkpoint(model_version)
            self._other = None  # freed before the next one is loaded: memory is planned for two models
            self._other = self._load(path)
        return self._other

    def _checkpoint(self, model_version: str) -> Path:
        path = checkpoint_of(self.settings.weights, model_version)
        if path is not None:
            return path
        folder = self.settings.weights.resolve().parent
        with reading(self.engine) as session:
            if model_versions.was_promoted(session, model_version):
                raise CheckpointMissing(version=model_version, folder=folder)
        loaded = self.classifier.version.id
        reason = f"{model_version} is needed but {loaded} is loaded; put the needed checkpoint here"
        raise WeightsError(path=folder, reason=reason)

    @cached_property
    def shadow(self) -> Classifier | None:
        """A second classifier whose answers change nothing; None where none is set or it cannot be loaded."""
        weights = self.settings.shadow.weights
        if weights is None or self.settings.shadow.share <= 0:
            return None
        try:
            classifier = self._load(weights)
            with transaction(self.engine) as session:
                model_versions.register(session, **stored_values(classifier.version))
        except Exception:
            log.exception("there is no shadow", weights=str(weights))
            return None
        return classifier

    def shadow_of(self, object_key: str, model_version: str) -> Shadow | None:
        """For one video; None where it is not of the share, or the same version screens it anyway."""
        drawn = int(hashlib.sha256(object_key.encode()).hexdigest()[:8], 16) / 2**32
        if drawn >= self.settings.shadow.share or self.shadow is None:
            return None
        if self.shadow.version.id == model_version:
            return None
        return Shadow(self.shadow, self.settings, fatal=(JobTimeoutException,))

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
