"""The explanation of one face crop."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.outcomes import ExplanationMethod


@dataclass(frozen=True, kw_only=True)
class Explanation:
    method: ExplanationMethod
    parameters: Mapping[str, Any]  # all that is needed to reproduce it
    heat: NDArray[np.float32]  # (S, S) in [-1, 1]; positive points to fake
    seed: int | None = None
    segments: NDArray[np.int32] | None = None  # (S, S), numbered from 0
    weights: Sequence[float] = field(default_factory=list)  # per segment, towards fake
    intercept: float | None = None
    local_prediction: float | None = None  # of the linear model, for the crop itself
    r2: float | None = None  # of the linear model on the perturbed crops, at most 1
    stability: float | None = None  # [0, 1]: how much other seeds agree on the top segments
    top_segments: Sequence[int] = field(default_factory=list)  # by absolute weight, the strongest first
