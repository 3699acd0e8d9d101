"""By what rules frame scores became a verdict."""

import json
from dataclasses import asdict, dataclass
from typing import Self

from core.model_version import ModelVersion
from core.settings import ScoringSettings


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The rules in force for one model version: its own thresholds, unless the settings name others."""

    suspect_from: float  # calibrated video score, [0, 1]
    fake_from: float  # likewise
    stretch_frames: int  # usable frames that form a stretch
    top_fraction: float  # of a stretch's frames, that count

    @classmethod
    def of(cls, version: ModelVersion, scoring: ScoringSettings) -> Self:
        suspect, fake = scoring.suspect_threshold, scoring.fake_threshold
        return cls(
            suspect_from=version.suspect_threshold if suspect is None else suspect,
            fake_from=version.fake_threshold if fake is None else fake,
            stretch_frames=scoring.stretch_frames,
            top_fraction=scoring.top_fraction,
        )

    @classmethod
    def of_stored(cls, text: str) -> Self:
        """What `stored` gave."""
        return cls(**json.loads(text))

    def stored(self) -> str:
        """As rows name it: equal policies have equal texts."""
        return json.dumps(asdict(self), sort_keys=True)
