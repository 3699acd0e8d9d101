"""How a model's scores hold against what reviewers decided, and whether they drift. It changes nothing.

Reviewers look mostly at what was flagged, so what they decided says much of high scores and little of low
ones. The report therefore goes by strata of the score: within one, the share of fakes among the reviewed is
taken for that of all. Strata that nobody looked into are taken for genuine, and counted.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import ColumnElement, Integer, case, cast, func, literal, select
from sqlalchemy.orm import Session, aliased

from core.errors import NotFound
from core.outcomes import DecisionOutcome
from storage import model_versions
from storage.people.decisions import ANSWERS
from storage.read.dashboard import RECENT_DAYS, stability_index, wilson
from storage.read.models import answers
from storage.tables import Decision, utc_now

STEPS = 100  # thresholds are looked for in steps of 1 / STEPS
STRATA = 10  # in which precision is told
PER_STRATUM = STEPS // STRATA
PER_DRIFT_BIN = 5  # steps; 20 bins, as on the dashboard
FEWEST_GENUINE = 30  # reviewed, before a threshold is suggested: with fewer a rate of 1 in 20 is a guess


@dataclass(frozen=True, kw_only=True)
class Stratum:
    """Videos whose scores are between two bounds."""

    low: float
    high: float
    scored: int
    mean_score: float | None
    fake: int  # decided so, by the last answer of any reviewer
    genuine: int
    unsure: int
    precision: float | None  # fakes among those decided fake or genuine; None without any
    precision_low: float | None  # 95 % interval (Wilson 1927)
    precision_high: float | None

    @property
    def unreviewed(self) -> int:
        return self.scored - self.fake - self.genuine - self.unsure


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """The lowest threshold that flags no more of the genuine videos than wanted."""

    wanted_rate: float  # of false positives
    threshold: float | None  # None: too few genuine videos were reviewed, or no threshold reaches it
    estimated_rate: float | None  # of all genuine videos, as far as the strata tell
    reviewed_rate: float | None  # of those reviewed, mostly because they had been flagged: too high
    fakes_found: float | None  # share of the videos decided as fake that it flags


@dataclass(frozen=True, kw_only=True)
class ModelReport:
    model_version: str
    since: datetime
    until: datetime
    scored: int
    reviewed: int  # decided fake, genuine or unsure
    strata: list[Stratum]  # by score
    suggestions: list[Suggestion]
    strata_without_review: int  # of those that have videos: taken for genuine
    recent_days: int
    recent: list[int]  # histogram of the scores of these days, 20 bins over [0, 1]
    before: list[int]  # of the days before
    # Population stability index of the two: below 0.1 stable, above 0.25 changed. None: too few scores.
    drift: float | None

    @property
    def unreviewed(self) -> int:
        return self.scored - self.reviewed


@dataclass(frozen=True, kw_only=True)
class _Step:
    """Scored videos of one step of the score."""

    counts: Counter[str]  # by outcome; "" for those without an answer
    recent: int
    score_sum: float

    @property
    def scored(self) -> int:
        return self.counts.total()

    def decided(self, outcome: DecisionOutcome) -> int:
        return self.counts[outcome.value]


def report(
    session: Session,
    model_version: str,
    *,
    since: datetime,
    rates: Sequence[float] = (0.01, 0.05),
    now: datetime | None = None,
) -> ModelReport:
    """What the version said since then, by a screening or in the shadow. Raises NotFound."""
    if not model_versions.is_known(session, model_version):
        raise NotFound(what="Model version", key=model_version)
    until = now or utc_now()
    steps = _steps(session, model_version, since, until)
    strata = [
        _stratum(number, steps[number * PER_STRATUM : (number + 1) * PER_STRATUM]) for number in range(STRATA)
    ]
    drift_bins = [steps[first:last] for first, last in pairwise(range(0, STEPS + 1, PER_DRIFT_BIN))]
    recent = [sum(step.recent for step in each) for each in drift_bins]
    before = [sum(step.scored - step.recent for step in each) for each in drift_bins]
    return ModelReport(
        model_version=model_version,
        since=since,
        until=until,
        scored=sum(each.scored for each in strata),
        reviewed=sum(each.scored - each.unreviewed for each in strata),
        strata=strata,
        suggestions=[_suggestion(steps, strata, rate) for rate in rates],
        strata_without_review=sum(each.scored > 0 and each.precision is None for each in strata),
        recent_days=RECENT_DAYS,
        recent=recent,
        before=before,
        drift=stability_index(before, recent),
    )


def _steps(session: Session, version: str, since: datetime, until: datetime) -> list[_Step]:
    """One grouped pass over the version's scores, each with the last answer on its video."""
    said = answers(version).subquery("said")
    last = (
        select(Decision.video_id, func.max(Decision.id).label("id"))
        .where(Decision.outcome.in_(ANSWERS))
        .group_by(Decision.video_id)
        .subquery("last")
    )
    decided = aliased(Decision)
    recent = case((said.c.at >= until - timedelta(days=RECENT_DAYS), 1), else_=0)
    keys = (_step_of(session, said.c.score), func.coalesce(decided.outcome, literal("")), recent)
    rows = session.execute(
        select(*keys, func.count(), func.sum(said.c.score))
        .select_from(said)
        .outerjoin(last, last.c.video_id == said.c.video_id)
        .outerjoin(decided, decided.id == last.c.id)
        .where(said.c.score.is_not(None), said.c.at >= since, said.c.at <= until)
        .group_by(*keys)
    )
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    recents: Counter[int] = Counter()
    sums: defaultdict[int, float] = defaultdict(float)
    for number, outcome, is_recent, videos, total in rows:
        step = min(int(number), STEPS - 1)
        counts[step][outcome] += videos
        recents[step] += videos if is_recent else 0
        sums[step] += float(total)
    return [
        _Step(counts=counts[number], recent=recents[number], score_sum=sums[number])
        for number in range(STEPS)
    ]


def _step_of(session: Session, score: Any) -> ColumnElement[Any]:
    # A cast truncates on SQLite and rounds on PostgreSQL.
    sqlite = session.get_bind().dialect.name == "sqlite"
    return cast(score * STEPS, Integer) if sqlite else cast(func.floor(score * STEPS), Integer)


def _stratum(number: int, steps: Sequence[_Step]) -> Stratum:
    scored = sum(step.scored for step in steps)
    found = {outcome: sum(step.decided(outcome) for step in steps) for outcome in ANSWERS}
    fake, genuine = found[DecisionOutcome.FAKE], found[DecisionOutcome.GENUINE]
    low, high = wilson(fake, fake + genuine)
    return Stratum(
        low=number / STRATA,
        high=(number + 1) / STRATA,
        scored=scored,
        mean_score=sum(step.score_sum for step in steps) / scored if scored else None,
        fake=fake,
        genuine=genuine,
        unsure=found[DecisionOutcome.UNSURE],
        precision=fake / (fake + genuine) if fake + genuine else None,
        precision_low=low,
        precision_high=high,
    )


def _suggestion(steps: Sequence[_Step], strata: Sequence[Stratum], rate: float) -> Suggestion:
    reviewed = sum(each.genuine for each in strata)
    genuine = [_genuine(step, strata[number // PER_STRATUM]) for number, step in enumerate(steps)]
    all_genuine = sum(genuine)
    nothing = Suggestion(
        wanted_rate=rate, threshold=None, estimated_rate=None, reviewed_rate=None, fakes_found=None
    )
    if reviewed < FEWEST_GENUINE or not all_genuine:
        return nothing
    chosen = next((first for first in range(STEPS) if sum(genuine[first:]) / all_genuine <= rate), None)
    if chosen is None:
        return nothing
    fakes = sum(each.fake for each in strata)
    above = steps[chosen:]
    return Suggestion(
        wanted_rate=rate,
        threshold=chosen / STEPS,
        estimated_rate=sum(genuine[chosen:]) / all_genuine,
        reviewed_rate=sum(step.decided(DecisionOutcome.GENUINE) for step in above) / reviewed,
        fakes_found=sum(step.decided(DecisionOutcome.FAKE) for step in above) / fakes if fakes else None,
    )


def _genuine(step: _Step, stratum: Stratum) -> float:
    """How many of a step's videos are genuine: those decided so, and of the others their stratum's share."""
    known = step.decided(DecisionOutcome.FAKE) + step.decided(DecisionOutcome.GENUINE)
    share = 1.0 if stratum.precision is None else 1 - stratum.precision
    return step.decided(DecisionOutcome.GENUINE) + share * (step.scored - known)
