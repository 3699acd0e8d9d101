"""A second classifier looks at the same faces in the same pass, and nothing that it does changes anything."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core.model_version import CropSettings
from core.outcomes import Verdict
from core.settings import Settings
from tests.unit.worker.screening.test_pipeline import (
    LEFT,
    RIGHT,
    VERSION,
    BrightnessClassifier,
    KnownDetector,
    clip,
    face,
    small_batches,
)
from worker.screening.pipeline import Pipeline
from worker.screening.screened import Screened
from worker.screening.shadow import Shadow

__all__ = ["clip", "small_batches"]

FACES = (face(LEFT), face(RIGHT))


class Doubter(BrightnessClassifier):
    """Finds everything genuine."""

    version = replace(VERSION, label="doubter", weights_sha256="1" * 64)

    def logits(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self.answers(crops)[:, 0] * 0 - 2


def screened(settings: Settings, clip: Path, shadow: Shadow | None, detector: Any = None) -> Screened:
    pipeline = Pipeline(settings, detector or KnownDetector(*FACES), BrightnessClassifier())  # type: ignore[arg-type]
    return pipeline.screen(clip, shadow=shadow)


def told(found: Screened) -> Any:
    """All but what differs from run to run."""
    return (found.video, found.faces, found.tracks, found.evidence, found.report.coverage)


def test_it_sees_the_same_crops_and_its_answer_stands_apart(small_batches: Settings, clip: Path) -> None:
    alone, detector, doubter = screened(small_batches, clip, None), KnownDetector(*FACES), Doubter()
    found = screened(small_batches, clip, Shadow(doubter, small_batches), detector)  # type: ignore[arg-type]
    assert told(found) == told(alone)
    assert (alone.shadow, found.verdict) == (None, Verdict.FAKE)
    assert found.shadow is not None
    assert (found.shadow.model_version, found.shadow.verdict) == (Doubter.version.id, Verdict.CLEAR)
    assert found.shadow.logits == [-2.0] * 40
    assert found.shadow.score == pytest.approx(VERSION.calibration.probability(-2.0))
    assert {crop.shape for crop in doubter.crops} == {(32, 32, 3)}
    assert len(detector.seen) == 20 + 1, "nothing is decoded or detected twice"
    assert max(doubter.batches) == small_batches.batch_size


def test_a_checkpoint_with_other_crops_gets_its_own(small_batches: Settings, clip: Path) -> None:
    class Wide(Doubter):
        version = replace(Doubter.version, input_size=48, crop=CropSettings(margin=2.0))

    wide = Wide()
    found = screened(small_batches, clip, Shadow(wide, small_batches))  # type: ignore[arg-type]
    assert found.shadow is not None
    assert ({crop.shape for crop in wide.crops}, len(wide.crops)) == ({(48, 48, 3)}, 40)


class Deadline(Exception):
    pass


@pytest.mark.parametrize("answer", [float("nan"), Deadline, None])
def test_what_fails_in_it_costs_the_video_nothing(small_batches: Settings, clip: Path, answer: Any) -> None:
    class Broken(Doubter):
        def logits(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
            self.batches.append(len(crops))
            if answer is Deadline:
                raise Deadline
            if answer is None:
                raise RuntimeError("CUDA out of memory")
            return np.full(len(crops), answer, np.float32)

    broken = Broken()
    shadow = Shadow(broken, small_batches, fatal=(Deadline,))  # type: ignore[arg-type]
    if answer is Deadline:
        with pytest.raises(Deadline):
            screened(small_batches, clip, shadow)
        return
    found = screened(small_batches, clip, shadow)
    assert (found.verdict, found.shadow, shadow.failed) == (Verdict.FAKE, None, True)
    assert len(broken.batches) == 1, "it is not tried again"
