"""From logits to verdicts: monotone, robust, independent of order."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.outcomes import Verdict
from core.settings import ScoringSettings, TrackSettings
from models.model_version import Calibration, ModelVersion
from worker.aggregation import TrackScore, score_track, score_video, track_logit
from worker.quality import Rejection

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


def scored(logits: list[float], *rejections: Rejection, samples: int = 20) -> TrackScore:
    return score_track(
        logits,
        samples=samples,
        version=VERSION,
        scoring=ScoringSettings(),
        tracks=TrackSettings(),
        rejections=rejections,
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


@pytest.mark.parametrize("reason", Rejection)
def test_faces_of_which_none_is_fit_for_judging_are_not_no_face(reason: Rejection) -> None:
    assert verdict(scored([], *[reason] * 20)) is Verdict.UNJUDGED
    assert verdict(scored([], reason, samples=1)) is Verdict.UNJUDGED  # a still


def test_one_unfit_face_is_enough_unless_the_detector_hardly_believes_it() -> None:
    assert verdict(scored([], Rejection.TURNED)) is Verdict.UNJUDGED
    assert verdict(scored([], Rejection.UNSURE)) is Verdict.NO_FACE  # a pattern of a wall, now and then
    assert verdict(*[scored([], *[Rejection.UNSURE] * 2)] * 9) is Verdict.NO_FACE
    assert verdict(scored([], Rejection.UNSURE, Rejection.UNSURE, Rejection.SMALL)) is Verdict.UNJUDGED


def test_too_short_is_what_lacks_frames_and_unjudged_what_lacks_fitness() -> None:
    assert verdict(scored([5.0, 5.0], Rejection.BLURRED)) is Verdict.TOO_SHORT
    assert verdict(scored([5.0, 5.0], *[Rejection.TURNED] * 18)) is Verdict.UNJUDGED
    assert verdict(scored([5.0]), scored([], Rejection.SMALL)) is Verdict.UNJUDGED
    assert verdict(scored([0.0] * 3, *[Rejection.TURNED] * 17)) is Verdict.CLEAR  # three frames can be judged


def test_settings_override_the_checkpoints_thresholds() -> None:
    loose = ScoringSettings(fake_threshold=0.2, suspect_threshold=0.1)
    assert verdict(scored([0.0] * 4), scoring=loose) is Verdict.FAKE
