"""How good a checkpoint's scores are: tables of metrics over scored clips and crops.

How a video gets its scores is not decided here: the caller hands in `Screening`s, made by the worker's own
pipeline (evaluation.run), so that what is measured is what runs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.families import Family
from core.model_version import Calibration, ModelVersion
from evaluation import families
from evaluation.families import KnownFake
from evaluation.growth import Known, by_faces, by_minutes
from evaluation.held_out import Clip
from evaluation.metrics import (
    Flags,
    Interval,
    Numbers,
    Scored,
    measure_with_intervals,
)
from evaluation.robustness import CONDITIONS
from models.datasets.media import GENUINE
from models.synthesis.kinds import HELD_OUT_KINDS, TRAINED_KINDS


@dataclass(frozen=True, kw_only=True)
class Screening:
    """What the pipeline found in one clip."""

    raw: float | None  # aggregated logit; None without a score (no face, too short, unreadable)
    frames: tuple[float, ...] = ()  # highest logit of each frame that has one
    problem: str = ""  # why there is no score
    faces: tuple[tuple[float, ...], ...] = ()  # logits by time of each face that counts
    families: tuple[float, ...] = ()  # family logits of the face that decided; empty: the version has none


@dataclass(frozen=True, kw_only=True)
class ScoredClip:
    """A clip with one checkpoint's scores."""

    name: str
    group: str
    source: str
    side: str
    kind: str
    condition: str
    main: bool
    robust: bool
    raw: float | None
    frames: tuple[float, ...]
    problem: str = ""
    faces: tuple[tuple[float, ...], ...] = ()
    family: str = ""  # of a real manipulation
    families: tuple[float, ...] = ()

    @property
    def fake(self) -> bool:
        return self.kind != GENUINE

    @classmethod
    def of(cls, clip: Clip, screening: Screening) -> "ScoredClip":
        return cls(
            name=clip.name,
            group=clip.group,
            source=clip.source,
            side=clip.side,
            kind=clip.kind,
            condition=clip.condition,
            main=clip.main,
            robust=clip.robust,
            raw=screening.raw,
            frames=screening.frames,
            problem=screening.problem,
            faces=screening.faces,
            family=clip.family,
            families=screening.families,
        )


@dataclass(frozen=True, kw_only=True)
class ScoredCrops:
    """Frame-level logits of labelled crops."""

    logits: Numbers  # (N,)
    fake: Flags  # (N,)
    group: Any  # (N,)
    kind: Any  # (N,) of the pair each belongs to


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table."""

    name: str
    genuine: int  # entries
    fake: int
    groups: int  # persons and videos
    genuine_flagged: int
    fake_flagged: int
    metrics: dict[str, Interval]


@dataclass(frozen=True, kw_only=True)
class Table:
    name: str  # a key of TABLES
    rows: list[Row]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Everything measured for one checkpoint."""

    version: ModelVersion
    threshold: float  # calibrated probability from which something is flagged
    videos: Scored  # the main clips
    frames: Scored  # their frames, the highest face of each
    crops: Scored | None  # labelled face crops; None where there are none
    tables: dict[str, Table]
    genuine: list[dict[str, Any]]  # each whole genuine video: name, side, condition, score, flagged
    unscored: dict[str, int]  # clips without a score, by reason
    growth: dict[str, list[dict[str, Any]]]  # of false alarms with faces and minutes (evaluation.growth)
    families: dict[str, Any]  # whether fakes are said to be of their own family (evaluation.families)
    clips: list[ScoredClip] = field(repr=False)


# What each table shows, in the order of a report.
TABLES = {
    "pooled": "Everything pooled",
    "crops": "Frame level: face crops of held-out persons and videos, by kind of forgery, compressed",
    "families": "Video level, by family of manipulation",
    "kinds": "Video level, by kind of forgery",
    "frames": "Frame level: frames of the compressed clips, by kind of forgery",
    "sources": "Video level, by source",
    "same_source": "Video level, fakes beside the genuine media of the same source",
    "compression": "Video level, by compression",
    "robustness": "Robustness: the same clips under each condition",
}


def evaluate(
    version: ModelVersion,
    clips: Sequence[ScoredClip],
    crops: ScoredCrops | None = None,
    *,
    threshold: float | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """Measure the scores that `version` gave `clips` and `crops`.

    Args:
        threshold: one fixed probability for every table; None takes the checkpoint's own for "flagged".
        resamples, seed: of the bootstrap.

    Clips without a score are left out of the metrics and counted in `unscored`.
    """
    fixed = version.suspect_threshold if threshold is None else threshold

    def table(name: str, parts: Iterable[tuple[str, Scored]]) -> Table:
        rows = [
            _row(label, scored, fixed, resamples=resamples, seed=seed)
            for label, scored in parts
            if len(scored)
        ]
        return Table(name=name, rows=rows)

    calibration = version.calibration
    main = [clip for clip in clips if clip.main and clip.raw is not None]
    robust = [clip for clip in clips if clip.robust and clip.raw is not None]
    videos, frames = _videos(main, calibration), _frames(main, calibration)
    faces = None if crops is None else _crops(crops, calibration)
    pooled = [("videos", videos), ("frames of the videos", frames)]
    if faces is not None:
        pooled.append(("face crops", faces))
    tables = [
        table("pooled", pooled),
        table("crops", [] if crops is None or faces is None else _by_kind_of_crop(crops, faces)),
        table("kinds", ((name, _videos(part, calibration)) for name, part in _by_kind(main))),
        table("frames", ((name, _frames(part, calibration)) for name, part in _by_kind(main))),
        table("families", ((name, _videos(part, calibration)) for name, part in _by_family(main))),
        table("sources", _by(main, "source", calibration)),
        table("same_source", _same_source(main, calibration)),
        table("compression", ((name, part) for name, part in _by(main, "condition", calibration) if name)),
        table("robustness", ((name, part) for name, part in _by(robust, "condition", calibration) if name)),
    ]
    return Evaluation(
        version=version,
        threshold=fixed,
        videos=videos,
        frames=frames,
        crops=faces,
        tables={each.name: each for each in tables if each.rows},
        genuine=_whole_genuine(clips, calibration, fixed),
        growth=_growth(clips, calibration, fixed, seed),
        families=families.table(known_fakes(main, calibration, fixed), version),
        unscored=_count(clip.problem or "no score" for clip in clips if clip.raw is None),
        clips=list(clips),
    )


def known_fakes(clips: Sequence[ScoredClip], calibration: Calibration, threshold: float) -> list[KnownFake]:
    """The real manipulations among the clips of which the family head has something to say."""
    return [
        KnownFake(
            group=clip.group,
            family=Family(clip.family),
            method=clip.kind,
            logits=clip.families,
            flagged=calibration.probability(clip.raw) >= threshold,
        )
        for clip in clips
        if clip.main and clip.fake and clip.families and clip.raw is not None and clip.family in set(Family)
    ]


def _growth(
    clips: Sequence[ScoredClip], calibration: Calibration, threshold: float, seed: int
) -> dict[str, list[dict[str, Any]]]:
    """From the clips of one face each; empty where none is genuine."""
    known = [
        Known(group=clip.group, fake=clip.fake, face=clip.faces[0])
        for clip in clips
        if (clip.main or clip.robust) and len(clip.faces) == 1
    ]
    if all(one.fake for one in known):
        return {}
    return {
        "faces": by_faces(known, calibration, threshold=threshold, seed=seed),
        "minutes": by_minutes(known, calibration, threshold=threshold, seed=seed),
    }


def _row(name: str, scored: Scored, threshold: float, *, resamples: int, seed: int) -> Row:
    flagged = scored.probability >= threshold
    return Row(
        name=name,
        genuine=int((~scored.fake).sum()),
        fake=int(scored.fake.sum()),
        groups=len(np.unique(scored.group)),
        genuine_flagged=int((flagged & ~scored.fake).sum()),
        fake_flagged=int((flagged & scored.fake).sum()),
        metrics=measure_with_intervals(scored, threshold=threshold, resamples=resamples, seed=seed),
    )


def probabilities(logits: Any, calibration: Calibration) -> Numbers:
    """Calibrated probabilities, float64, in [0, 1]."""
    return np.array([calibration.probability(float(logit)) for logit in logits], np.float64)


def _videos(clips: Sequence[ScoredClip], calibration: Calibration) -> Scored:
    return Scored(
        fake=np.array([clip.fake for clip in clips], bool),
        probability=probabilities([clip.raw for clip in clips], calibration),
        group=np.array([clip.group for clip in clips], np.str_),
    )


def _frames(clips: Sequence[ScoredClip], calibration: Calibration) -> Scored:
    return Scored(
        fake=np.array([clip.fake for clip in clips for _ in clip.frames], bool),
        probability=probabilities([logit for clip in clips for logit in clip.frames], calibration),
        group=np.array([clip.group for clip in clips for _ in clip.frames], np.str_),
    )


def _crops(crops: ScoredCrops, calibration: Calibration) -> Scored:
    return Scored(
        fake=crops.fake, probability=probabilities(crops.logits, calibration), group=np.asarray(crops.group)
    )


def _by_kind_of_crop(crops: ScoredCrops, faces: Scored) -> list[tuple[str, Scored]]:
    kinds = list(dict.fromkeys(crops.kind.tolist()))
    return [(name, faces.only(np.isin(crops.kind, members))) for name, members in _families(kinds)]


def _by_kind(clips: Sequence[ScoredClip]) -> list[tuple[str, list[ScoredClip]]]:
    """The forgeries of each kind, and of each family of kinds, with every genuine clip."""
    kinds = list(dict.fromkeys(clip.kind for clip in clips if clip.fake))
    return [
        (name, [clip for clip in clips if clip.kind in (GENUINE, *members)])
        for name, members in _families(kinds)
    ]


def _by_family(clips: Sequence[ScoredClip]) -> list[tuple[str, list[ScoredClip]]]:
    """The fakes of each family of real manipulations, with every genuine clip."""
    names = list(dict.fromkeys(clip.family for clip in clips if clip.fake and clip.family))
    return [(name, [clip for clip in clips if not clip.fake or clip.family == name]) for name in names]


def _same_source(clips: Sequence[ScoredClip], calibration: Calibration) -> list[tuple[str, Scored]]:
    """The sources of real manipulations that have both classes: nothing but the forgery tells them apart."""
    known = [clip for clip in clips if clip.family]
    parts = [(name, scored) for name, scored in _by(known, "source", calibration)]
    return [(name, scored) for name, scored in parts if len(set(scored.fake.tolist())) == 2]


def _families(kinds: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Each kind alone; of this project's own also all that were trained on, and all that were held out."""
    families = [(kind, [kind]) for kind in kinds]
    for name, members in (("trained kinds", TRAINED_KINDS), ("held-out kinds", HELD_OUT_KINDS)):
        found = [kind for kind in kinds if kind in members]
        if len(found) > 1:
            families.append((name, found))
    return families


def _by(clips: Sequence[ScoredClip], attribute: str, calibration: Calibration) -> list[tuple[str, Scored]]:
    names = list(dict.fromkeys(getattr(clip, attribute) for clip in clips))
    if attribute == "condition":
        names = sorted(names, key=lambda name: list(CONDITIONS).index(name) if name in CONDITIONS else -1)
    return [
        (name, _videos([clip for clip in clips if getattr(clip, attribute) == name], calibration))
        for name in names
    ]


def _whole_genuine(
    clips: Sequence[ScoredClip], calibration: Calibration, threshold: float
) -> list[dict[str, Any]]:
    rows = []
    for clip in clips:
        if clip.fake or clip.main or clip.robust:
            continue
        score = None if clip.raw is None else calibration.probability(clip.raw)
        rows.append(
            {
                "video": clip.group,
                "side": clip.side,
                "condition": clip.condition,
                "score": None if score is None else round(score, 4),
                "flagged": score is not None and score >= threshold,
            }
        )
    return rows


def _count(names: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return counts
