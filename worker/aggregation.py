"""From frame scores to a verdict: pure functions over logits.

They need no picture and no network, so thresholds and policies can be run again over a whole database.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.outcomes import Verdict
from core.settings import ScoringSettings, TrackSettings
from models.model_version import ModelVersion
from worker.quality import Rejection

TRIM_FROM = 5  # usable frames from which a track's single highest one is left out


@dataclass(frozen=True, kw_only=True)
class TrackScore:
    raw: float | None  # logit; None without usable frames
    score: float | None  # calibrated, [0, 1]
    supported: bool  # enough usable frames for a say in the verdict
    usable: int = 0  # frames that were classified
    unfit: int = 0  # frames that show a face which the quality gate kept from the classifier


@dataclass(frozen=True, kw_only=True)
class VideoScore:
    verdict: Verdict
    raw: float | None
    score: float | None
    track: int | None  # the track that decided


def track_logit(logits: Sequence[float], top_fraction: float) -> float:
    """A robust mean of the top part of a track's frame logits.

    A forgery need not be in every frame, so the highest part counts; one outlier must not flag a track, so
    from five frames on the single highest is left out. Raising a logit never lowers the result.
    """
    ordered = np.sort(np.asarray(logits, np.float64))[::-1]
    if len(ordered) >= TRIM_FROM:
        ordered = ordered[1:]
    return float(ordered[: max(1, round(len(ordered) * top_fraction))].mean())


def score_track(
    logits: Sequence[float],
    *,
    samples: int,
    version: ModelVersion,
    scoring: ScoringSettings,
    tracks: TrackSettings,
    rejections: Sequence[Rejection] = (),
) -> TrackScore:
    """Score one track of a video of which `samples` frames were looked at.

    `rejections`: why the quality gate kept the track's other frames from the classifier.
    """
    # A still, or a video of two frames, cannot give more support than it has frames.
    enough = min(tracks.min_frames, max(1, samples))
    unfit = len(rejections)
    if not logits and unfit < enough and set(rejections) <= {Rejection.UNSURE}:
        unfit = 0  # what the detector hardly believes, and not for long: a pattern of a wall, no face
    if not logits:
        return TrackScore(raw=None, score=None, supported=False, unfit=unfit)
    raw = track_logit(logits, scoring.top_fraction)
    return TrackScore(
        raw=raw,
        score=version.calibration.probability(raw),
        supported=len(logits) >= enough,
        usable=len(logits),
        unfit=unfit,
    )


def score_video(
    scores: Sequence[TrackScore], *, version: ModelVersion, scoring: ScoringSettings
) -> VideoScore:
    """The verdict of the worst supported track."""
    supported = [(s.raw, number) for number, s in enumerate(scores) if s.supported and s.raw is not None]
    if not supported:
        return VideoScore(verdict=_unscored(scores), raw=None, score=None, track=None)
    raw, track = max(supported)
    score = version.calibration.probability(raw)
    return VideoScore(verdict=verdict_of(score, version, scoring), raw=raw, score=score, track=track)


def _unscored(scores: Sequence[TrackScore]) -> Verdict:
    """Why there is no score: what the faces of the video lacked most, frames or fitness."""
    usable, unfit = sum(score.usable for score in scores), sum(score.unfit for score in scores)
    if usable == unfit == 0:
        return Verdict.NO_FACE
    return Verdict.UNJUDGED if unfit >= usable else Verdict.TOO_SHORT


def verdict_of(score: float, version: ModelVersion, scoring: ScoringSettings) -> Verdict:
    """The verdict for a calibrated score, by the settings' thresholds or else the checkpoint's."""
    fake = version.fake_threshold if scoring.fake_threshold is None else scoring.fake_threshold
    suspect = version.suspect_threshold if scoring.suspect_threshold is None else scoring.suspect_threshold
    if score >= fake:
        return Verdict.FAKE
    return Verdict.SUSPECT if score >= suspect else Verdict.CLEAR
