"""From logits to verdicts: monotone, robust, independent of order."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.outcomes import Verdict
from core.settings import ScoringSettings, TrackSettings
from models.model_version import Calibration, ModelVersion
from worker.aggregation import TrackScore, score_track, score_video, track_logit

HALF = (0.5, 0.5, 0.5)
VERSION = ModelVersion(
    architecture="smallcnn",
    label="test",
    weights_sha256="0" * 64,
    input_size=64,
    mean=HALF,
    std=HALF,
    calibration=Calibration(slope=2.0, intercept=-1.0),
    fake_threshold=0.8,
    suspect_threshold=0.6,
)
LOGITS = st.lists(st.floats(-30, 30), min_size=1, max_size=64)


@given(LOGITS, st.integers(0, 63), st.floats(0, 20))
def test_raising_a_logit_never_lowers_the_track(logits: list[float], which: int, by: float) -> None:
    raised = list(logits)
    raised[which % len(raised)] += by
    assert track_logit(raised, 0.5) >= track_logit(logits, 0.5) - 1e-9


@given(LOGITS, st.randoms())
def test_order_does_not_matter(logits: list[float], random: object) -> None:
    shuffled = list(logits)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert track_logit(shuffled, 0.5) == pytest.approx(track_logit(logits, 0.5))


@given(LOGITS)
def test_the_track_lies_within_its_frames(logits: list[float]) -> None:
    assert min(logits) - 1e-9 <= track_logit(logits, 0.5) <= max(logits) + 1e-9


def test_one_outlier_does_not_flag_a_track() -> None:
    assert track_logit([-3.0] * 9 + [30.0], 0.5) == pytest.approx(-3.0)


def scored(logits: list[float], samples: int = 20) -> TrackScore:
    return score_track(
        logits, samples=samples, version=VERSION, scoring=ScoringSettings(), tracks=TrackSettings()
    )


def verdict(*tracks: TrackScore, scoring: ScoringSettings | None = None) -> Verdict:
    return score_video(tracks, version=VERSION, scoring=scoring or ScoringSettings()).verdict


def test_the_worst_supported_track_decides() -> None:
    video = score_video(
        [scored([-2.0] * 5), scored([2.0] * 5), scored([9.0])], version=VERSION, scoring=ScoringSettings()
    )
    assert (video.verdict, video.track) == (Verdict.FAKE, 1)
    assert video.score == pytest.approx(1 / (1 + math.exp(-3)))


def test_typed_outcomes_instead_of_a_silent_half() -> None:
    assert verdict() is Verdict.NO_FACE
    assert verdict(scored([])) is Verdict.NO_FACE
    assert verdict(scored([5.0, 5.0])) is Verdict.TOO_SHORT
    assert verdict(scored([5.0], samples=1)) is Verdict.FAKE  # a still needs one
    assert verdict(scored([0.9] * 4)) is Verdict.SUSPECT
    assert verdict(scored([0.0] * 4)) is Verdict.CLEAR


def test_settings_override_the_checkpoints_thresholds() -> None:
    loose = ScoringSettings(fake_threshold=0.2, suspect_threshold=0.1)
    assert verdict(scored([0.0] * 4), scoring=loose) is Verdict.FAKE
