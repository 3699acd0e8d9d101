"""From frame scores to a verdict: pure functions over logits.

They need no picture and no network, so thresholds and policies can be recomputed over a whole database.

A track's score is that of its worst stretch of a few frames, so that half a minute of forgery in an hour is
not averaged away; models.looks says what the worst of many stretches and faces is worth.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.families import Resemblance
from core.model_version import ModelVersion
from core.outcomes import Verdict
from core.policy import Policy
from core.settings import ScoringSettings, TrackSettings
from models.looks import Looked
from models.stretches import stretch_logits
from worker.screening.quality import Rejection

__all__ = [
    "Stretch",
    "TrackScore",
    "VideoScore",
    "flagged_stretches",
    "resemblance",
    "score_track",
    "score_video",
    "stretch_logits",
    "verdict_of",
]

APART = 0.25  # of a stretch: after more low frames than this, the next high one begins another flagged part
LEAST_HIGH = 3  # high frames in a flagged part, if any part of the track has so many


@dataclass(frozen=True, kw_only=True)
class TrackScore:
    """What one track's frames come to."""

    raw: float | None  # logit of its worst stretch; None without usable frames
    score: float | None  # calibrated, [0, 1]; from score_video, corrected for all looks at the video
    supported: bool  # enough usable frames to count for the verdict
    usable: int = 0  # frames that were classified
    unfit: int = 0  # frames whose face the quality gate rejected
    stretches: tuple[float, ...] = ()  # logit of each stretch, each a frame further on
    families: tuple[float, ...] = ()  # logits of the version's families; empty: the checkpoint tells none


@dataclass(frozen=True, kw_only=True)
class VideoScore:
    """What all tracks together come to."""

    verdict: Verdict
    raw: float | None  # logit that the worst stretch would have as a single look
    score: float | None  # calibrated, [0, 1]
    track: int | None  # the track that decided
    looks: float  # that the worst stretch is the worst of; stretches of one face count for less than faces do
    flagged_from: float | None  # lowest logit of a flagged stretch; None: none is flagged
    high_from: float  # logit from which one look alone is flagged
    tracks: tuple[TrackScore, ...]  # corrected for all these looks


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A flagged part of a track."""

    start_seconds: float
    end_seconds: float


def score_track(
    logits: Sequence[float],
    *,
    samples: int,
    version: ModelVersion,
    scoring: ScoringSettings,
    tracks: TrackSettings,
    rejections: Sequence[Rejection] = (),
    families: Sequence[Sequence[float]] = (),
) -> TrackScore:
    """Score one track, its logits by time, of a video with `samples` sampled frames.

    Args:
        rejections: why the quality gate rejected the track's other frames.
        families: of each of the logits' frames, the logits of the version's families.
    """
    # A still, or a video of two frames, cannot give more support than it has frames.
    enough = min(tracks.min_frames, max(1, samples))
    unfit = len(rejections)
    if not logits and unfit < enough and set(rejections) <= {Rejection.UNSURE}:
        unfit = 0  # an unsure, short-lived detection is a pattern on a wall, not a face
    if not logits:
        return TrackScore(raw=None, score=None, supported=False, unfit=unfit)
    stretches = stretch_logits(logits, frames=scoring.stretch_frames, top_fraction=scoring.top_fraction)
    raw = max(stretches)
    return TrackScore(
        raw=raw,
        score=version.calibration.probability(raw),
        supported=len(logits) >= enough,
        usable=len(logits),
        unfit=unfit,
        stretches=stretches,
        families=_most_suspicious(logits, families, scoring.top_fraction) if families else (),
    )


def _most_suspicious(
    logits: Sequence[float], families: Sequence[Sequence[float]], top_fraction: float
) -> tuple[float, ...]:
    """The mean family logits of the frames with the highest logits: the others may not even be forged."""
    highest = np.argsort(logits)[::-1][: max(1, round(len(logits) * top_fraction))]
    return tuple(np.asarray(families, np.float64)[highest].mean(axis=0).tolist())


def resemblance(score: TrackScore, version: ModelVersion, scoring: ScoringSettings) -> Resemblance | None:
    """The family that a flagged track resembles most.

    None where the checkpoint is not sure enough or tells no families, and for a face that is not flagged:
    the families were learnt from fakes alone, so they mean nothing of a genuine face.
    """
    calibration = version.calibration.families
    if calibration is None or not score.families or score.score is None or not score.supported:
        return None
    if not verdict_of(score.score, version, scoring).flagged:
        return None
    return calibration.resemblance(version.families, score.families)


def score_video(
    scores: Sequence[TrackScore], *, version: ModelVersion, scoring: ScoringSettings
) -> VideoScore:
    """The verdict of the worst supported track, corrected for the number of looks it is the worst of."""
    calibration = version.calibration
    high_from = calibration.logit(min(_thresholds(version, scoring)))
    looked = Looked(
        [score.stretches for score in scores if score.supported],
        calibration.looks,
        window=scoring.stretch_frames,
    )
    tracks = tuple(
        score if score.raw is None else replace(score, score=calibration.probability(looked.alone(score.raw)))
        for score in scores
    )
    supported = [(s.raw, number) for number, s in enumerate(tracks) if s.supported and s.raw is not None]
    if not supported:
        return VideoScore(
            verdict=_unscored(scores),
            raw=None,
            score=None,
            track=None,
            looks=0.0,
            flagged_from=None,
            high_from=high_from,
            tracks=tracks,
        )
    highest, track = max(supported)
    raw = looked.alone(highest)
    score = calibration.probability(raw)
    verdict = verdict_of(score, version, scoring)
    least = looked.least(lambda alone: verdict_of(calibration.probability(alone), version, scoring).flagged)
    return VideoScore(
        verdict=verdict,
        raw=raw,
        score=score,
        track=track,
        looks=looked.count,
        flagged_from=least,
        high_from=high_from,
        tracks=tracks,
    )


def doubted(video: VideoScore, *, taken: int, damaged: int) -> VideoScore:
    """`video`, or `unjudged` if it would clear what mostly came damaged: `damaged` of `taken` samples.

    A flag stands: it comes with coverage below one half, and a reviewer looks anyway.
    """
    if video.verdict.flagged or 2 * damaged <= taken:
        return video
    return replace(video, verdict=Verdict.UNJUDGED, raw=None, score=None, track=None)


def _unscored(scores: Sequence[TrackScore]) -> Verdict:
    """Why there is no score: what the video's faces mostly lacked, frames or quality."""
    usable, unfit = sum(score.usable for score in scores), sum(score.unfit for score in scores)
    if usable == unfit == 0:
        return Verdict.NO_FACE
    return Verdict.UNJUDGED if unfit >= usable else Verdict.TOO_SHORT


def verdict_of(score: float, version: ModelVersion, scoring: ScoringSettings) -> Verdict:
    """The verdict for a calibrated score, by the settings' thresholds or else the checkpoint's."""
    suspect, fake = _thresholds(version, scoring)
    if score >= fake:
        return Verdict.FAKE
    return Verdict.SUSPECT if score >= suspect else Verdict.CLEAR


def _thresholds(version: ModelVersion, scoring: ScoringSettings) -> tuple[float, float]:
    """For `suspect` and for `fake`."""
    policy = Policy.of(version, scoring)
    return policy.suspect_from, policy.fake_from


def flagged_stretches(
    times: Sequence[float], logits: Sequence[float], video: VideoScore, scoring: ScoringSettings
) -> list[Stretch]:
    """The parts of one track that are flagged, by time.

    The worst stretches overlap and reach beyond the forgery, so a part runs from one high frame to another.

    Args:
        times, logits: of the track's usable frames, by time.
    """
    if video.flagged_from is None or not logits:
        return []
    size = min(scoring.stretch_frames, len(logits))
    stretches = np.array(stretch_logits(logits, frames=size, top_fraction=scoring.top_fraction))
    flagged = np.zeros(len(logits), bool)
    for start in np.flatnonzero(stretches >= video.flagged_from):
        flagged[start : start + size] = True
    high = np.flatnonzero(flagged & (np.asarray(logits) >= video.high_from))
    if not len(high):
        return []
    parts = np.split(high, np.flatnonzero(np.diff(high) > size * APART) + 1)
    most = max(len(part) for part in parts)
    return [
        Stretch(start_seconds=times[part[0]], end_seconds=times[part[-1]])
        for part in parts
        if len(part) >= min(LEAST_HIGH, most)
    ]
