"""The faces of a frame on their way to their scores: cut out, checked by the quality gate, classified."""

from collections.abc import Sequence

import numpy as np

from core.errors import WeightsError
from core.model_version import ModelVersion
from core.settings import QualitySettings
from models.classifier import Classifier
from models.crop import crop_standing
from models.face import Face
from worker.decoder.reader import Frame
from worker.screening.evidence import Candidate
from worker.screening.quality import assess


def cut_out(
    frame: Frame, faces: Sequence[Face], version: ModelVersion, quality: QualitySettings
) -> list[Candidate]:
    """The faces of one frame, cropped as `version` wants them and checked by the quality gate."""
    candidates = []
    for face in faces:
        crop = crop_standing(frame.image, face, version.crop, version.input_size)
        candidates.append(
            Candidate(
                frame=frame.index,
                time=frame.time_seconds,
                stream=frame.stream,
                frame_size=frame.size,
                face=face,
                quality=assess(face, crop, quality),
                crop=crop,
            )
        )
    return candidates


def classify(candidates: Sequence[Candidate], classifier: Classifier) -> None:
    """Give each candidate, all of which have their crops, its logits, in one call of the classifier.

    Raises WeightsError where a score is not a finite number.
    """
    answers = classifier.answers(np.stack([one.crop for one in candidates if one.crop is not None]))
    if not np.isfinite(answers).all():
        # Compared with a threshold it would count as clear.
        reason = "a score is not a finite number; try FACEWARDEN_BACKEND=fp32, or other weights"
        raise WeightsError(path=classifier.version.id, reason=reason)
    for candidate, (logit, *families) in zip(candidates, answers.tolist(), strict=True):
        candidate.logit, candidate.families = logit, tuple(families)
