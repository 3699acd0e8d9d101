"""Other verdicts from stored logits: by another policy or other thresholds, without a GPU or a picture.

A page of screenings is read in one short transaction, judged outside of any, and written in another one.
Stopped at any moment, the next run goes on: what the wanted policy has judged already is passed over.

Whether a track has enough usable frames, and what it resembles, stays as it was found: the first does not
depend on the policy, and the second needs logits that are not stored.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from sqlalchemy import Engine

from core.flips import UNDECIDED, Flip
from core.model_version import ModelVersion
from core.outcomes import ScreeningStatus, Verdict
from core.policy import Policy
from core.settings import ScoringSettings
from storage import model_versions
from storage.engine import reading, transaction
from storage.queue import listing
from storage.queue.filters import Filters
from storage.read import selection
from storage.reaggregation import (
    Answer,
    StoredScores,
    StoredTrack,
    TrackAnswer,
    policies,
    store,
    stored_scores,
)
from worker.screening.aggregation import (
    TrackScore,
    VideoScore,
    doubted,
    flagged_stretches,
    score_video,
    stretch_logits,
    verdict_of,
)

PAGE = 200  # screenings in a transaction, and in an entry of the audit log
SAME = 1e-9  # of a score: less is another processor's rounding
HALF = 0.5  # of the coverage, below which older releases' samples were mostly damaged


@dataclass(kw_only=True)
class Tally:
    """What became of the screenings so far."""

    videos: Counter[Flip] = field(default_factory=Counter)  # those that keep their verdict too
    judged_already: int = 0  # by the very policy that is wanted
    changed: int = 0  # whose score, ranges or verdict is another one
    overtaken: int = 0  # answered anew by others meanwhile
    without_frames: int = 0  # newly flagged: the frames of clear videos are not kept

    @property
    def flips(self) -> dict[Flip, int]:
        return {each: number for each, number in self.videos.items() if each.flips}


def reaggregate(
    engine: Engine,
    filters: Filters,
    scoring: ScoringSettings,
    *,
    apply: bool,
    actor: str,
    progress: Callable[[Tally], None] = lambda _: None,
) -> Tally:
    """Judge what the filters select by `scoring`; with `apply` store it, else only count.

    Raises WeightsError where a model version was not stored whole.
    """
    tally = Tally()
    versions: dict[str, ModelVersion] = {}
    for stored, already, decisions in _pages(engine, filters, scoring, versions):
        tally.judged_already += already
        answers = [judge(each, versions[each.model_version_id], scoring) for each in stored]
        written = answers
        if apply and answers:
            with transaction(engine) as session:
                written = store(session, answers, actor=actor)
        _count(tally, written, decisions)
        tally.overtaken += len(answers) - len(written)
        progress(tally)
    return tally


def _pages(
    engine: Engine, filters: Filters, scoring: ScoringSettings, versions: dict[str, ModelVersion]
) -> Iterator[tuple[list[StoredScores], int, dict[int, str]]]:
    """Screenings page by page, how many more this policy has judged, and the last decision on each video.

    `versions` gets the model versions that come up.
    """
    done, after = replace(filters, statuses=(ScreeningStatus.DONE,)), 0
    while True:
        with reading(engine) as session:
            found = selection.page(session, done, after=after, limit=PAGE)
            if not found:
                return
            judged_by = policies(session, [each.id for each in found])
            for name in {version for version, _ in judged_by.values()} - versions.keys():
                versions[name] = model_versions.version(session, name)
            left = [
                number
                for number, (version, policy) in judged_by.items()
                if policy != Policy.of(versions[version], scoring).stored()
            ]
            stored = stored_scores(session, left)
            decisions, _ = listing.last_decisions(session, [each.video_id for each in stored])
        yield stored, len(judged_by) - len(left), decisions
        after = found[-1].id


def _count(tally: Tally, answers: list[Answer], decisions: dict[int, str]) -> None:
    for each in answers:
        old = each.before
        flip = Flip(
            before=old.verdict,
            after=each.verdict,
            source=old.source,
            decision=decisions.get(old.video_id, UNDECIDED),
        )
        tally.videos[flip] += 1
        tally.changed += each.changes
        tally.without_frames += each.verdict.flagged and not Verdict(old.verdict).flagged


def judge(stored: StoredScores, version: ModelVersion, scoring: ScoringSettings) -> Answer:
    """What `scoring` makes of a screening's logits: exactly what the pipeline would have made of them."""
    scores = [_score(track, version, scoring) for track in stored.tracks]
    video = score_video(scores, version=version, scoring=scoring)
    verdict, score, raw, looks = Verdict(stored.verdict), stored.score, stored.raw_score, stored.looks
    if video.raw is not None:  # otherwise no face has enough frames, whatever the policy
        video = doubted(video, taken=1, damaged=int(_mostly_damaged(stored)))
        verdict, score, raw, looks = video.verdict, video.score, video.raw, video.looks
    return Answer(
        before=stored,
        policy=Policy.of(version, scoring).stored(),
        verdict=verdict,
        score=_settled(score, stored.score),
        raw_score=_settled(raw, stored.raw_score),
        looks=_settled(looks, stored.looks),
        tracks=_changed(stored, video, version, scoring),
    )


def _score(track: StoredTrack, version: ModelVersion, scoring: ScoringSettings) -> TrackScore:
    if not track.logits:
        return TrackScore(raw=None, score=None, supported=False)
    stretches = stretch_logits(track.logits, frames=scoring.stretch_frames, top_fraction=scoring.top_fraction)
    raw = max(stretches)
    return TrackScore(
        raw=raw,
        score=version.calibration.probability(raw),
        supported=track.supported,
        usable=len(track.logits),
        stretches=stretches,
    )


def _mostly_damaged(stored: StoredScores) -> bool:
    if stored.mostly_damaged is not None:
        return stored.mostly_damaged
    # A release that did not note it: it left unjudged what it would have cleared but for the damage.
    return stored.verdict == Verdict.UNJUDGED or (stored.coverage or 0.0) < HALF


def _changed(
    stored: StoredScores, video: VideoScore, version: ModelVersion, scoring: ScoringSettings
) -> list[TrackAnswer]:
    found = []
    for track, score in zip(stored.tracks, video.tracks, strict=True):
        parts = flagged_stretches(track.times, track.logits, video, scoring) if track.supported else []
        flagged = score.score is not None and verdict_of(score.score, version, scoring).flagged
        answer = TrackAnswer(
            id=track.id,
            score=_settled(score.score, track.score),
            raw_score=_settled(score.raw, track.raw_score),
            flagged_ranges=[[part.start_seconds, part.end_seconds] for part in parts],
            family=track.family if flagged else None,
            family_probability=track.family_probability if flagged else None,
        )
        if any(getattr(track, name) != value for name, value in vars(answer).items()):
            found.append(answer)
    return found


def _settled(new: float | None, old: float | None) -> float | None:
    """The old number where the new one is the same."""
    if new is None or old is None or not math.isclose(new, old, rel_tol=0.0, abs_tol=SAME):
        return new
    return old
