"""Explains one flagged frame: Grad-CAM first, because it is quick, then LIME."""

from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np

from core.model_version import ModelVersion
from core.results import ExplanationResult
from core.settings import LimeSettings
from models.classifier import Classifier
from models.crop import standing_landmarks
from models.explain import grad_cam, lime, overlay
from models.explain.explanation import Explanation
from models.face import Box, Face, Image, Landmarks
from storage import run_length
from storage.explanations import Claim
from storage.objects.store import ObjectStore
from worker.context import Context


def explain_frame(
    context: Context, claimed: Claim, *, heartbeat: Callable[[], None]
) -> Iterator[ExplanationResult]:
    """Yield each method's explanation as soon as it is ready, its overlays stored.

    Raises WeightsError if the weights that flagged the frame are gone: an explanation by another model
    would explain nothing.
    """
    classifier, settings = context.classifier_of(claimed.model_version_id), context.settings
    crop = decode_crop(context.objects.read(claimed.crop_key))
    yield to_result(grad_cam.explain(crop, classifier), crop, context.objects)
    heartbeat()
    landmarks = landmarks_in_crop(
        classifier.version,
        box=claimed.box,
        landmarks=claimed.landmarks,
        turn=claimed.turn,
        roll=claimed.roll,
    )
    answers = lime.answers_of(classifier, settings.lime)
    explained = lime.explain(crop, answers, settings.lime, landmarks=landmarks, heartbeat=heartbeat)
    yield to_result(explained, crop, context.objects)


def explain_crop(
    crop: Image, classifier: Classifier, settings: LimeSettings, landmarks: Landmarks | None
) -> list[Explanation]:
    """Both explanations of a crop, without a database; `landmarks` are those of `landmarks_in_crop`."""
    return [
        grad_cam.explain(crop, classifier),
        lime.explain(crop, lime.answers_of(classifier, settings), settings, landmarks=landmarks),
    ]


def landmarks_in_crop(
    version: ModelVersion,
    *,
    box: tuple[float, float, float, float],
    landmarks: Sequence[Sequence[float]],
    turn: int,
    roll: float | None,
) -> Landmarks | None:
    """The landmarks of a stored face in the crop that `version` saw; the values are those of FaceResult.

    None for a face of an older release, which has no roll: its crop was cut otherwise.
    """
    if roll is None:
        return None
    x0, y0, x1, y1 = box
    face = Face(
        box=Box(x0=x0, y0=y0, x1=x1, y1=y1),
        landmarks=np.asarray(landmarks, np.float32),
        probability=1.0,
        turn=turn,
    )
    return standing_landmarks(face, version.crop, version.input_size)


def decode_crop(png: bytes) -> Image:
    """The crop (S, S, 3) in a PNG that we stored."""
    decoded = np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(decoded[..., ::-1])


def to_result(explanation: Explanation, crop: Image, objects: ObjectStore) -> ExplanationResult:
    """Store the overlays and build the row."""
    pictures = overlay.render(crop, explanation)
    segments = explanation.segments
    return ExplanationResult(
        method=explanation.method,
        parameters=explanation.parameters,
        seed=explanation.seed,
        segments=None if segments is None else run_length.encode(segments),
        weights=list(explanation.weights),
        intercept=explanation.intercept,
        local_prediction=explanation.local_prediction,
        r2=explanation.r2,
        stability=explanation.stability,
        overlays={name: objects.put_bytes(png, ".png") for name, png in pictures.items()},
    )
