"""Frame scores as people read them: the logits of a screening through its model version's calibration."""

from collections.abc import Callable
from typing import Any

from core.model_version import Calibration
from storage.read.detail import ModelDetail


def frame_probability(model: ModelDetail) -> Callable[[float | None], float | None]:
    """Maps a logit to the calibrated probability of a fake in [0, 1]; None (not classified) stays None."""
    stored: dict[str, Any] = model.details.get("calibration") or {}
    calibration = Calibration.of(stored)
    return lambda logit: None if logit is None else calibration.probability(logit)
