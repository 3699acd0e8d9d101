"""From settings to loaded models: the one place where detector, classifier and pipeline are assembled."""

from pathlib import Path

from core.settings import Settings
from models.choice import Choices
from models.classifier import Classifier
from models.detector import FaceDetector, fastest_networks
from models.device import choose_device
from worker.screening.pipeline import Pipeline

CONVERTED = "converted"  # in the home folder: networks for OpenVINO, and which backends were the fastest


def load_pipeline(settings: Settings, *, detector: FaceDetector | None = None) -> Pipeline:
    """The pipeline of `settings`, its models loaded; with `detector` in place of its own, if one is given.

    Raises:
        WeightsError: `settings.weights` is missing, damaged, tampered with or misfit.
        SettingsError: this machine has no such device, or the device no such backend.
    """
    classifier = load_classifier(settings, settings.weights)
    return Pipeline(settings, load_detector(settings) if detector is None else detector, classifier)


def load_detector(settings: Settings) -> FaceDetector:
    """On a CPU by the networks that are the fastest here, unless `settings` name these or the classifier's.

    Who names a backend wants the same start everywhere: nothing is measured then, and nothing kept.
    """
    device = choose_device(settings.device)
    if device == "cuda" or {settings.backend, settings.detection.backend} != {"auto"}:
        return FaceDetector(settings.detection, device)
    return FaceDetector(settings.detection, networks=fastest_networks(Choices(settings.home / CONVERTED)))


def load_classifier(settings: Settings, weights: Path) -> Classifier:
    """The checkpoint at `weights` on the device and backend of `settings`; errors as of `load_pipeline`."""
    return Classifier.load(
        weights,
        backend=settings.backend,
        device=settings.device,
        batch_size=settings.batch_size,
        cache=settings.home / CONVERTED,
    )
