"""From the classified faces of one video to its verdict, by whichever classifier's logits."""

from collections import defaultdict
from collections.abc import Sequence

from core.model_version import ModelVersion
from core.settings import Settings
from worker.decoder.reader import DecodeReport
from worker.screening.aggregation import VideoScore, doubted, score_track, score_video
from worker.screening.evidence import Candidate


def by_track(candidates: Sequence[Candidate]) -> dict[int, list[Candidate]]:
    """The faces of each track, by time; the tracks by number."""
    members: dict[int, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        members[candidate.track].append(candidate)
    return dict(sorted(members.items()))


def judged(
    candidates: Sequence[Candidate],
    logits: Sequence[float | None],
    *,
    report: DecodeReport,
    version: ModelVersion,
    settings: Settings,
    families: bool = False,
) -> VideoScore:
    """The verdict, and the scores of the tracks by number.

    Args:
        logits: of each candidate, None where it was not classified.
        families: whether the candidates carry logits of `version`'s families.
    """
    found = {id(candidate): logit for candidate, logit in zip(candidates, logits, strict=True)}
    scores = [
        score_track(
            [logit for one in members if (logit := found[id(one)]) is not None],
            rejections=[one.quality.rejection for one in members if one.quality.rejection is not None],
            families=[one.families for one in members if one.families] if families else (),
            samples=report.streams[members[0].stream].taken,
            version=version,
            scoring=settings.scoring,
            tracks=settings.tracks,
        )
        for members in by_track(candidates).values()
    ]
    video = score_video(scores, version=version, scoring=settings.scoring)
    for stream in report.streams.values():
        video = doubted(video, taken=stream.taken, damaged=stream.damaged)
    return video
