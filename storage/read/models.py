"""The model versions that have said something, and two of them compared on the videos that both have seen."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import CompoundSelect, Select, func, select, union_all
from sqlalchemy.orm import Session, aliased

from core.flips import UNDECIDED, Flip
from core.model_version import Calibration
from core.outcomes import FLAGGED, DecisionOutcome, ScreeningStatus
from storage import model_versions
from storage.tables import Decision, ModelVersionRow, Screening, ShadowAnswer


@dataclass(frozen=True, kw_only=True)
class ModelSeen:
    """A model version, and how many videos it has had to do with."""

    id: str
    label: str
    architecture: str
    created_at: datetime  # when it was first heard of
    active: bool  # it was promoted: it screens new videos
    screenings: Mapping[str, int]  # by core.outcomes.ScreeningStatus
    represents: int  # videos whose verdict in the queue is its own
    shadowed: int  # videos that it has seen in the shadow
    calibration: str  # method, and what it was fitted on
    suspect_from: float | None  # the checkpoint's thresholds
    fake_from: float | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What two model versions say of the same videos, screened or in the shadow."""

    first: str
    second: str
    videos: Mapping[Flip, int]  # verdict of the first, and of the second
    only_first: int  # videos that the second has not judged
    only_second: int
    scored: int  # videos to which both give a score
    mean_difference: float | None  # second's score minus the first's
    mean_distance: float | None  # without the sign

    @property
    def compared(self) -> int:
        return sum(self.videos.values())

    @property
    def flips(self) -> dict[Flip, int]:
        return {each: number for each, number in self.videos.items() if each.flips}

    @property
    def agreement(self) -> float | None:
        """Share of the videos with the same verdict, [0, 1]; None without any."""
        return 1 - sum(self.flips.values()) / self.compared if self.compared else None

    def flagged(self, decision: DecisionOutcome) -> tuple[int, int, int]:
        """Of the videos that reviewers last decided so: all, those that the first flags, and the second."""
        rows = [(each, number) for each, number in self.videos.items() if each.decision == decision]
        return (
            sum(number for _, number in rows),
            sum(number for each, number in rows if each.before in FLAGGED),
            sum(number for each, number in rows if each.after in FLAGGED),
        )


def seen(session: Session) -> list[ModelSeen]:
    """All versions, the newest first."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    represents: Counter[str] = Counter()
    grouped = (Screening.model_version_id, Screening.status, Screening.latest)
    for version, status, latest, number in session.execute(select(*grouped, func.count()).group_by(*grouped)):
        counts[version][status] += number
        represents[version] += number if latest and status == ScreeningStatus.DONE else 0
    shadow = select(ShadowAnswer.model_version_id, func.count()).group_by(ShadowAnswer.model_version_id)
    shadowed: dict[str, int] = {row[0]: row[1] for row in session.execute(shadow)}
    active = model_versions.active(session)
    return [
        ModelSeen(
            id=row.id,
            label=row.label,
            architecture=row.architecture,
            created_at=row.created_at,
            active=row.id == active,
            screenings=dict(counts[row.id]),
            represents=represents[row.id],
            shadowed=shadowed.get(row.id, 0),
            calibration=_calibration(row),
            suspect_from=row.details.get("suspect_threshold"),
            fake_from=row.details.get("fake_threshold"),
        )
        for row in model_versions.known(session)
    ]


def _calibration(row: ModelVersionRow) -> str:
    found = Calibration.of(row.details.get("calibration") or {})
    return f"{found.method}, {found.fitted_on}" if found.fitted_on else found.method


def compare(session: Session, first: str, second: str) -> Comparison:
    """The verdicts of two versions on the videos that both have judged, counted in the database."""
    one, other = answers(first).subquery("one"), answers(second).subquery("other")
    last = select(Decision.video_id, func.max(Decision.id).label("id")).group_by(Decision.video_id).subquery()
    decided = aliased(Decision)
    keys = (one.c.verdict, other.c.verdict, one.c.source, decided.outcome)
    distance = other.c.score - one.c.score
    rows = session.execute(
        select(
            *keys,
            func.count(),
            func.count(distance),
            func.coalesce(func.sum(distance), 0.0),
            func.coalesce(func.sum(func.abs(distance)), 0.0),
        )
        .join(other, other.c.video_id == one.c.video_id)
        .outerjoin(last, last.c.video_id == one.c.video_id)
        .outerjoin(decided, decided.id == last.c.id)
        .group_by(*keys)
    ).all()
    scored = sum(row[5] for row in rows)
    return Comparison(
        first=first,
        second=second,
        videos={
            Flip(before=row[0], after=row[1], source=row[2], decision=row[3] or UNDECIDED): row[4]
            for row in rows
        },
        only_first=_alone(session, first, second),
        only_second=_alone(session, second, first),
        scored=scored,
        mean_difference=sum(row[6] for row in rows) / scored if scored else None,
        mean_distance=sum(row[7] for row in rows) / scored if scored else None,
    )


def answers(version: str) -> "CompoundSelect[Any]":
    """Each video that the version has judged, once: by its screening, or else what it said in the shadow.

    The columns are `video_id`, `source`, `verdict`, `score` and `at`.
    """
    done = (Screening.model_version_id == version, Screening.status == ScreeningStatus.DONE)
    own = aliased(Screening)
    screened = select(own.id).where(
        own.video_id == Screening.video_id,
        own.model_version_id == version,
        own.status == ScreeningStatus.DONE,
    )
    newest = _newest_shadows(version)
    columns = (Screening.video_id, Screening.source)
    return union_all(
        select(*columns, Screening.verdict, Screening.score, Screening.finished_at.label("at")).where(*done),
        select(*columns, ShadowAnswer.verdict, ShadowAnswer.score, ShadowAnswer.created_at)
        .join(ShadowAnswer, ShadowAnswer.screening_id == Screening.id)
        .where(ShadowAnswer.id.in_(newest), ~screened.exists()),
    )


def _newest_shadows(version: str) -> "Select[Any]":
    """One for each video, however many versions it was the shadow of."""
    query = select(func.max(ShadowAnswer.id)).join(Screening, Screening.id == ShadowAnswer.screening_id)
    return query.where(ShadowAnswer.model_version_id == version).group_by(Screening.video_id)


def _alone(session: Session, version: str, other: str) -> int:
    one, two = answers(version).subquery("one"), answers(other).subquery("two")
    query = select(func.count()).select_from(one.outerjoin(two, two.c.video_id == one.c.video_id))
    return session.scalar(query.where(two.c.video_id.is_(None))) or 0
