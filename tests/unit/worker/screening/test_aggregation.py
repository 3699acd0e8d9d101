"""From logits to verdicts: monotone, robust, independent of order."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.families import Family, FamilyCalibration, Resemblance
from core.model_version import Calibration, Looks, ModelVersion
from core.outcomes import Verdict
from core.settings import ScoringSettings, TrackSettings
from worker.screening.aggregation import (
    TrackScore,
    flagged_stretches,
    resemblance,
    score_track,
    score_video,
    stretch_logits,
)
from worker.screening.quality import Rejection

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


def track_logit(logits: list[float], top_fraction: float) -> float:
    """The robust mean of a track as a single stretch."""
    (stretch,) = stretch_logits(logits, frames=len(logits), top_fraction=top_fraction)
    return stretch


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


FAMILIES = (Family.SWAP, Family.GENERATE)
NAMING = replace(
    VERSION,
    families=FAMILIES,
    calibration=replace(VERSION.calibration, families=FamilyCalibration(temperature=2.0, least=0.6)),
)


def like(
    logits: list[float], families: list[tuple[float, float]], version: ModelVersion = NAMING, **settings: Any
) -> Resemblance | None:
    scoring = ScoringSettings(**settings)
    score = score_track(
        logits, samples=20, version=version, scoring=scoring, tracks=TrackSettings(), families=families
    )
    (track,) = score_video([score], version=version, scoring=scoring).tracks
    return resemblance(track, version, scoring)


def test_a_flagged_track_resembles_what_its_most_suspicious_frames_do() -> None:
    """Half of the frames count; in the others somebody genuine is seen."""
    swapped, other = (5.0, 1.0), (0.0, 40.0)
    named = like([4.0, -3.0, 4.0, -3.0], [swapped, other, swapped, other])
    assert named is not None
    assert named.family is Family.SWAP
    assert named.probability == pytest.approx(1 / (1 + math.exp(-2)))  # 4 apart, at a temperature of 2
    everything = like([4.0, -3.0, 4.0, -3.0], [swapped, other, swapped, other], top_fraction=1.0)
    assert everything is None  # all frames together are not even suspicious


@pytest.mark.parametrize(
    ("logits", "families", "version"),
    [
        ([-4.0] * 5, [(5.0, 1.0)] * 5, NAMING),  # clear: what is genuine resembles nothing
        ([4.0], [(5.0, 1.0)], NAMING),  # too few frames for a say
        ([4.0] * 5, [(1.4, 1.0)] * 5, NAMING),  # not sure enough
        ([4.0] * 5, [], VERSION),  # a checkpoint without a family head
        ([4.0] * 5, [(5.0, 1.0)] * 5, replace(NAMING, calibration=VERSION.calibration)),  # not calibrated
    ],
)
def test_no_family_is_named_where_nothing_is_known(
    logits: list[float], families: list[tuple[float, float]], version: ModelVersion
) -> None:
    assert like(logits, families, version) is None


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


LONG = st.lists(st.floats(-30, 30), min_size=1, max_size=80)
CROWDED = replace(
    VERSION,
    calibration=Calibration(looks=Looks(centre=-2.0, spread=1.6, repeat=0.4)),
    fake_threshold=0.9,
    suspect_threshold=0.8,
)
GENUINE, FORGED = -2.5, 4.0  # logits


@given(LOGITS)
def test_a_short_track_is_one_stretch(logits: list[float]) -> None:
    stretches = stretch_logits(logits, frames=64, top_fraction=0.5)
    assert stretches == (track_logit(logits, 0.5),)


@given(LONG, st.integers(0, 79), st.floats(0, 20))
def test_raising_a_logit_lowers_no_stretch_and_no_video(logits: list[float], which: int, by: float) -> None:
    raised = list(logits)
    raised[which % len(raised)] += by
    before, after = (
        score_video([scored(each)], version=CROWDED, scoring=ScoringSettings()) for each in (logits, raised)
    )
    assert all(b <= a + 1e-9 for b, a in zip(scored(logits).stretches, scored(raised).stretches, strict=True))
    assert before.score is None or (after.score or 0) >= before.score - 1e-9


def hour(forged: slice) -> list[float]:
    """A face at a sample every two seconds, forged in a part."""
    logits = [GENUINE + 0.5 * math.sin(i) for i in range(1200)]
    logits[forged] = [FORGED - 0.5 * abs(math.sin(i)) for i in range(len(logits[forged]))]
    return logits


def test_twenty_seconds_of_forty_minutes_are_found_where_they_are() -> None:
    scoring, logits = ScoringSettings(), hour(slice(700, 710))
    video = score_video([scored(logits, samples=1200)], version=CROWDED, scoring=scoring)
    assert video.verdict.flagged
    times = [2.0 * i for i in range(1200)]
    (part,) = flagged_stretches(times, logits, video, scoring)
    assert (part.start_seconds, part.end_seconds) == (1400.0, 1418.0)


def test_forty_genuine_minutes_are_clear() -> None:
    video = score_video([scored(hour(slice(0, 0)), samples=1200)], version=CROWDED, scoring=ScoringSettings())
    assert (video.verdict, video.flagged_from) == (Verdict.CLEAR, None)


def test_a_video_that_is_forged_throughout_scores_as_a_part_of_it_does() -> None:
    short = score_video([scored([FORGED] * 10)], version=CROWDED, scoring=ScoringSettings())
    long = score_video([scored([FORGED] * 1800, samples=1800)], version=CROWDED, scoring=ScoringSettings())
    assert long.score == pytest.approx(short.score)
    (part,) = flagged_stretches([2.0 * i for i in range(1800)], [FORGED] * 1800, long, ScoringSettings())
    assert (part.start_seconds, part.end_seconds) == (0.0, 3598.0)


def test_a_high_score_among_many_faces_counts_for_less() -> None:
    high, low = scored([1.6], samples=1), scored([GENUINE], samples=1)
    alone = score_video([high], version=CROWDED, scoring=ScoringSettings())
    crowd = score_video([low] * 23 + [high], version=CROWDED, scoring=ScoringSettings())
    assert (alone.verdict, crowd.verdict) == (Verdict.SUSPECT, Verdict.CLEAR)
    assert (alone.looks, crowd.looks, crowd.track) == (1.0, 24.0, 23)
    assert crowd.tracks[23].score == crowd.score
    forged = score_video(
        [low] * 23 + [scored([FORGED + 1], samples=1)], version=CROWDED, scoring=ScoringSettings()
    )
    assert forged.verdict.flagged


def test_faces_without_support_are_no_looks() -> None:
    video = score_video(
        [scored([0.0] * 5), *[scored([-9.0])] * 30], version=CROWDED, scoring=ScoringSettings()
    )
    assert video.looks == 1.0
