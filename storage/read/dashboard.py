"""The figures of the dashboard: queue, throughput, verdicts, failures, drift of scores.

They come from one grouped pass over an index for the requested days, one over the decisions of those days,
and a few bounded counts, so that showing the dashboard never reads a million rows.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Integer, cast, func, select
from sqlalchemy.orm import Session

from core.outcomes import FLAGGED, NEEDS_LOOK, DecisionOutcome, DecisionState, ScreeningStatus
from storage.people import decisions
from storage.people.decisions import Agreement
from storage.queue import listing, plan
from storage.queue.filters import Filters, Sort
from storage.queue.listing import Count, QueueCounts
from storage.tables import Account, Decision, Screening, utc_now

BINS = 20  # of the score histogram over [0, 1]
LONGEST_DAYS = 90
RECENT_DAYS = 7  # compared with the days before
FEWEST_SCORES = 100  # on each side of a comparison; with fewer the drift index is noise


@dataclass(frozen=True, kw_only=True)
class QueueFigures:
    counts: QueueCounts
    oldest_open: datetime | None  # when the video that has waited longest for review was first seen
    waiting: Count  # videos that no worker has started
    oldest_waiting: datetime | None  # when the oldest of them was first seen


@dataclass(frozen=True, kw_only=True)
class DayFigures:
    day: date  # UTC
    screened: int  # with a verdict
    failed: int
    decided: int  # decisions, second opinions included
    verdicts: dict[str, int]
    mean_score: float | None  # [0, 1]; None without scores
    scores: list[int]  # histogram, BINS bins over [0, 1]


@dataclass(frozen=True, kw_only=True)
class Precision:
    """How many of the flagged videos that reviewers decided on are fakes."""

    flagged: int  # decided as fake or genuine
    confirmed: int  # of them, decided as fake
    unsure: int  # decided as unsure
    value: float | None  # confirmed / flagged
    low: float | None  # 95 % interval (Wilson 1927)
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How far the scores of the last days differ from those of the days before."""

    model_version: str
    recent: int  # scores
    before: int
    # Population stability index: below 0.1 stable, above 0.25 changed. None: too few scores.
    index: float | None


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    since: datetime
    until: datetime
    queue: QueueFigures
    days: list[DayFigures]  # every day, the oldest first
    verdicts: dict[str, int]
    precision: Precision
    precision_by_verdict: dict[str, Precision]
    failures: dict[str, int]  # by error code, the most frequent first
    drift: list[Drift]  # by model version, the most used first
    reviewers: dict[str, int]  # decisions by account name, the most first
    agreement: Agreement


@dataclass(frozen=True, kw_only=True)
class _Cell:
    """Screenings that ended in the same way on one day."""

    day: date
    verdict: str | None
    error_code: str | None
    model_version: str
    bin: int | None  # None: without a score
    number: int
    score_sum: float


def dashboard(session: Session, *, days: int = 30, now: datetime | None = None) -> Dashboard:
    """The figures of the last `days` days (1 to 90), today included."""
    until = now or utc_now()
    days = max(1, min(days, LONGEST_DAYS))
    midnight = until.replace(hour=0, minute=0, second=0, microsecond=0)
    since = midnight - timedelta(days=days - 1)
    cells = _cells(session, since, until)
    decided = _decided(session, since)
    by_day = Counter(row.day for row in decided)
    failures = _summed((cell.error_code, cell.number) for cell in cells if cell.error_code)
    return Dashboard(
        since=since,
        until=until,
        queue=_queue(session),
        days=[
            _day(day, [cell for cell in cells if cell.day == day], by_day[day])
            for day in ((since + timedelta(days=number)).date() for number in range(days))
        ],
        verdicts=_summed((cell.verdict, cell.number) for cell in cells if cell.verdict),
        precision=_precision(decided, FLAGGED),
        precision_by_verdict={verdict.value: _precision(decided, (verdict,)) for verdict in FLAGGED},
        failures=failures,
        drift=_drift(cells, (until - timedelta(days=RECENT_DAYS)).date()),
        reviewers=_summed((row.account, 1) for row in decided),
        agreement=decisions.agreement(session, since=since),
    )


def _summed(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for name, number in pairs:
        total[name] += number
    return dict(total.most_common())


def _queue(session: Session) -> QueueFigures:
    waiting = Filters(statuses=(ScreeningStatus.QUEUED,), sort=Sort.TIME, ascending=True)
    states = (DecisionState.OPEN,)
    opened = Filters(verdicts=NEEDS_LOOK, decision_states=states, sort=Sort.TIME, ascending=True)
    oldest = next(iter(plan.find(session, opened, limit=1)), None)
    longest = next(iter(plan.find(session, waiting, limit=1)), None)
    return QueueFigures(
        counts=listing.counts(session),
        oldest_open=oldest.added_at if oldest else None,
        waiting=listing.count(session, waiting),
        oldest_waiting=longest.added_at if longest else None,
    )


def _cells(session: Session, since: datetime, until: datetime) -> list[_Cell]:
    day, bin_ = _day_of(session, Screening.finished_at), _bin_of(session)
    keys = (day, Screening.verdict, Screening.error_code, Screening.model_version_id, bin_)
    query = (
        select(*keys, func.count(), func.coalesce(func.sum(Screening.score), 0.0))
        .where(Screening.finished_at >= since, Screening.finished_at <= until)
        .group_by(*keys)
    )
    return [
        _Cell(
            day=date.fromisoformat(row[0]) if isinstance(row[0], str) else row[0],
            verdict=row[1],
            error_code=row[2],
            model_version=row[3],
            bin=None if row[4] is None else min(int(row[4]), BINS - 1),
            number=row[5],
            score_sum=float(row[6]),
        )
        for row in session.execute(query)
    ]


def _day_of(session: Session, moment: Any) -> ColumnElement[Any]:
    sqlite = session.get_bind().dialect.name == "sqlite"
    return func.date(moment) if sqlite else func.date(func.timezone("UTC", moment))


def _bin_of(session: Session) -> ColumnElement[Any]:
    scaled = Screening.score * BINS
    # A cast truncates on SQLite and rounds on PostgreSQL.
    sqlite = session.get_bind().dialect.name == "sqlite"
    return cast(scaled, Integer) if sqlite else cast(func.floor(scaled), Integer)


def _day(day: date, cells: Sequence[_Cell], decided: int) -> DayFigures:
    scores = [0] * BINS
    for cell in cells:
        if cell.bin is not None:
            scores[cell.bin] += cell.number
    scored = sum(scores)
    return DayFigures(
        day=day,
        screened=sum(cell.number for cell in cells if cell.verdict),
        failed=sum(cell.number for cell in cells if cell.error_code),
        decided=decided,
        verdicts=_summed((cell.verdict, cell.number) for cell in cells if cell.verdict),
        mean_score=sum(cell.score_sum for cell in cells) / scored if scored else None,
        scores=scores,
    )


@dataclass(frozen=True, kw_only=True)
class _Decided:
    day: date
    video_id: int
    account: str
    outcome: str
    verdict: str | None  # of the screening that the reviewer saw


def _decided(session: Session, since: datetime) -> list[_Decided]:
    query = (
        select(Decision.created_at, Decision.video_id, Account.name, Decision.outcome, Screening.verdict)
        .join(Account, Account.id == Decision.account_id)
        .outerjoin(Screening, Screening.id == Decision.screening_id)
        .where(Decision.created_at >= since)
        .order_by(Decision.id)
    )
    return [
        _Decided(day=at.date(), video_id=video_id, account=account, outcome=outcome, verdict=verdict)
        for at, video_id, account, outcome, verdict in session.execute(query)
    ]


def _precision(decided: Sequence[_Decided], verdicts: Sequence[str]) -> Precision:
    last = {
        row.video_id: row.outcome
        for row in decided
        if row.verdict in verdicts and row.outcome != DecisionOutcome.SECOND_OPINION
    }
    outcomes = Counter(last.values())
    confirmed = outcomes[DecisionOutcome.FAKE]
    flagged = confirmed + outcomes[DecisionOutcome.GENUINE]
    low, high = wilson(confirmed, flagged)
    return Precision(
        flagged=flagged,
        confirmed=confirmed,
        unsure=outcomes[DecisionOutcome.UNSURE],
        value=confirmed / flagged if flagged else None,
        low=low,
        high=high,
    )


def wilson(hits: int, tries: int) -> tuple[float | None, float | None]:
    """The 95 % score interval of a proportion (Wilson 1927, "Probable inference"); None if `tries` is 0."""
    if tries == 0:
        return None, None
    z = 1.959964
    share = hits / tries
    middle = share + z * z / (2 * tries)
    reach = z * math.sqrt(share * (1 - share) / tries + z * z / (4 * tries * tries))
    scale = 1 + z * z / tries
    return max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale)


def _drift(cells: Sequence[_Cell], recent_since: date) -> list[Drift]:
    recent: dict[str, list[int]] = defaultdict(lambda: [0] * BINS)
    before: dict[str, list[int]] = defaultdict(lambda: [0] * BINS)
    for cell in cells:
        if cell.bin is not None:
            side = recent if cell.day > recent_since else before
            side[cell.model_version][cell.bin] += cell.number
    found = [
        Drift(
            model_version=version,
            recent=sum(recent[version]),
            before=sum(before[version]),
            index=stability_index(before[version], recent[version]),
        )
        for version in {*recent, *before}
    ]
    return sorted(found, key=lambda one: (-one.recent - one.before, one.model_version))


def stability_index(before: Sequence[int], recent: Sequence[int]) -> float | None:
    """The population stability index of two histograms with the same bins.

    The sum over the bins of (p - q) * ln(p / q), with half a count added to each bin so that empty ones stay
    finite. None if one side has fewer than FEWEST_SCORES.
    """
    if min(sum(before), sum(recent)) < FEWEST_SCORES:
        return None
    index = 0.0
    for old, new in zip(before, recent, strict=True):
        p = (new + 0.5) / (sum(recent) + 0.5 * len(recent))
        q = (old + 0.5) / (sum(before) + 0.5 * len(before))
        index += (p - q) * math.log(p / q)
    return index
