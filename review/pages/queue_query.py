"""The query of the queue's address: `/queue?tab=review&q=clip&min=60`.

A video's page carries the same query, so that "next" stays within the reviewer's selection.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Query

from core.errors import InvalidQuery
from core.families import Family
from core.outcomes import NEEDS_LOOK, UNFINISHED, DecisionState, ScreeningStatus, Verdict
from core.provenance import Stated
from review.filters import NO_NUL
from storage.folding import folded
from storage.queue import names
from storage.queue.listing import Filters, QueueCounts, Sort

PER_PAGE = 50
LONGEST = 500  # characters per parameter


@dataclass(frozen=True, kw_only=True)
class Tab:
    key: str
    name: str
    verdicts: tuple[Verdict, ...] = ()
    statuses: tuple[ScreeningStatus, ...] = ()
    states: tuple[DecisionState, ...] = ()


REVIEW = Tab(key="review", name="To review", verdicts=NEEDS_LOOK, states=(DecisionState.OPEN,))
UNJUDGED = Tab(key="unjudged", name="Not judged", verdicts=(Verdict.UNJUDGED,), states=(DecisionState.OPEN,))
SECOND = Tab(key="second", name="Second opinion", states=(DecisionState.SECOND_OPINION,))
DECIDED = Tab(key="decided", name="Decided", states=(DecisionState.DECIDED,))
CLEAR = Tab(key="clear", name="Clear", verdicts=(Verdict.CLEAR,), states=(DecisionState.OPEN,))
UNSCORED = Tab(key="unscored", name="No score", verdicts=(Verdict.NO_FACE, Verdict.TOO_SHORT))
PROGRESS = Tab(key="progress", name="In progress", statuses=UNFINISHED)
FAILED = Tab(key="failed", name="Failed", statuses=(ScreeningStatus.FAILED,))
EVERYTHING = Tab(key="all", name="All")
TABS = (REVIEW, UNJUDGED, SECOND, DECIDED, CLEAR, UNSCORED, PROGRESS, FAILED, EVERYTHING)

# In blind mode no tab may reveal the verdict of the videos it lists.
BLIND_REVIEW = Tab(
    key="review", name="To review", statuses=(ScreeningStatus.DONE,), states=(DecisionState.OPEN,)
)
BLIND_TABS = (BLIND_REVIEW, SECOND, DECIDED, PROGRESS, FAILED)


def tabs(*, blind: bool) -> tuple[Tab, ...]:
    return BLIND_TABS if blind else TABS


def tab_counts(counts: QueueCounts) -> dict[str, str]:
    """The counts shown beside the tabs' names, by key."""
    waiting = [counts.statuses[status] for status in PROGRESS.statuses if status in counts.statuses]
    unscored = [counts.verdicts[verdict] for verdict in UNSCORED.verdicts if verdict in counts.verdicts]
    groups = {
        "review": [counts.to_review],
        "second": [counts.second_opinion],
        "decided": [counts.decided],
        "clear": [counts.verdicts[Verdict.CLEAR]],
        "unjudged": [counts.verdicts[Verdict.UNJUDGED]],
        "unscored": unscored,
        "progress": waiting,
        "failed": [counts.statuses[ScreeningStatus.FAILED]],
    }
    return {
        key: f"{sum(one.value for one in group):,}{'+' if any(one.more for one in group) else ''}"
        for key, group in groups.items()
    }


@dataclass(frozen=True, kw_only=True)
class QueueQuery:
    """The parameters as given; an empty one means "not given"."""

    tab: str = ""
    q: str = ""  # part of a name
    verdict: str = ""
    family: str = ""
    known: str = ""  # "yes": looks like known content
    provenance: str = ""
    source: str = ""
    least: str = ""  # score in percent
    most: str = ""
    since: str = ""  # day, UTC
    until: str = ""  # day, UTC, inclusive
    model: str = ""
    sort: str = ""
    cursor: str = ""

    def chosen(self, *, blind: bool) -> Tab:
        known = {tab.key: tab for tab in tabs(blind=blind)}
        return known.get(self.tab or REVIEW.key, known[REVIEW.key])

    def filters(self, *, blind: bool) -> Filters:
        """The filters, without scores for a blind reviewer. Raises InvalidQuery for an invalid parameter."""
        tab = self.chosen(blind=blind)
        by_score = not blind
        return Filters(
            verdicts=self._verdicts() if by_score and self.verdict else tab.verdicts,
            statuses=tab.statuses,
            families=self._families() if by_score and self.family else (),
            known=by_score and self.known == "yes",
            provenance=self._provenance() if self.provenance else (),
            score_min=_part("min", self.least) if by_score else None,
            score_max=_part("max", self.most) if by_score else None,
            since=_day("since", self.since),
            until=_day("until", self.until, days=1),
            source=self.source or None,
            model_version=self.model or None,
            text=self._text(),
            decision_states=tab.states,
            sort=self._sort() if by_score else Sort.TIME,
            ascending=self.sort == "oldest" or blind,
        )

    def _text(self) -> str | None:
        # Too short to search while somebody is typing; that is not an error.
        return self.q if len(folded(self.q).strip()) >= names.SHORTEST else None

    def _verdicts(self) -> tuple[Verdict, ...]:
        try:
            return (Verdict(self.verdict),)
        except ValueError as error:
            raise InvalidQuery(parameter="verdict", reason=f"{self.verdict} is not a verdict") from error

    def _families(self) -> tuple[Family, ...]:
        try:
            return (Family(self.family),)
        except ValueError as error:
            raise InvalidQuery(parameter="family", reason=f"{self.family} is not a family") from error

    def _provenance(self) -> tuple[Stated, ...]:
        try:
            return (Stated(self.provenance),)
        except ValueError as error:
            reason = f"{self.provenance} is not what a file can state"
            raise InvalidQuery(parameter="provenance", reason=reason) from error

    def _sort(self) -> Sort:
        if self.sort not in {"", "score", "newest", "oldest"}:
            raise InvalidQuery(parameter="sort", reason="it is score, newest or oldest")
        return Sort.TIME if self.sort in {"newest", "oldest"} else Sort.SCORE

    def address(self, **changed: str) -> str:
        """The query string without empty parameters and cursor: a changed filter starts on the first page."""
        named = {
            "tab": self.tab,
            "q": self.q,
            "verdict": self.verdict,
            "family": self.family,
            "known": self.known,
            "provenance": self.provenance,
            "source": self.source,
            "min": self.least,
            "max": self.most,
            "since": self.since,
            "until": self.until,
            "model": self.model,
            "sort": self.sort,
        } | changed
        return urlencode({name: value for name, value in named.items() if value})

    def export_address(self, *, blind: bool) -> str:
        """The query string of `/v1/export` for everything that these filters match."""
        filters = self.filters(blind=blind)
        named: dict[str, object] = {
            "verdict": list(filters.verdicts),
            "status": list(filters.statuses),
            "family": list(filters.families),
            "known": "true" if filters.known else None,
            "provenance": list(filters.provenance),
            "decision_state": list(filters.decision_states),
            "score_min": filters.score_min,
            "score_max": filters.score_max,
            "since": filters.since and filters.since.isoformat(),
            "until": filters.until and filters.until.isoformat(),
            "source": filters.source,
            "model_version": filters.model_version,
            "text": filters.text,
            "sort": filters.sort,
            "ascending": "true" if filters.ascending else None,
        }
        return urlencode(
            {name: value for name, value in named.items() if value not in (None, [])}, doseq=True
        )

    @property
    def narrowed(self) -> bool:
        """Whether anything besides a tab was chosen."""
        return any(
            (
                self.q,
                self.verdict,
                self.family,
                self.known,
                self.provenance,
                self.source,
                self.least,
                self.most,
                self.since,
                self.until,
                self.model,
            )
        )


def _part(name: str, text: str) -> float | None:
    if not text:
        return None
    try:
        part = float(text.replace(",", ".")) / 100
    except ValueError as error:
        raise InvalidQuery(parameter=name, reason=f"{text} is no percentage") from error
    if not 0 <= part <= 1:
        raise InvalidQuery(parameter=name, reason="a score is between 0 and 100%")
    return part


def _day(name: str, text: str, *, days: int = 0) -> datetime | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text) + timedelta(days=days)
    except (ValueError, OverflowError) as error:
        raise InvalidQuery(parameter=name, reason=f"{text} is not a date like 2026-11-21") from error
    return datetime.combine(day, time(), UTC)


Text = Annotated[str, Query(max_length=LONGEST, pattern=NO_NUL)]


def _query(
    *,
    tab: Text = "",
    q: Text = "",
    verdict: Text = "",
    family: Text = "",
    known: Text = "",
    provenance: Text = "",
    source: Text = "",
    least: Annotated[str, Query(alias="min", max_length=LONGEST, pattern=NO_NUL)] = "",
    most: Annotated[str, Query(alias="max", max_length=LONGEST, pattern=NO_NUL)] = "",
    since: Text = "",
    until: Text = "",
    model: Text = "",
    sort: Text = "",
    cursor: Text = "",
) -> QueueQuery:
    return QueueQuery(
        tab=tab,
        q=q,
        verdict=verdict,
        family=family,
        known=known,
        provenance=provenance,
        source=source,
        least=least,
        most=most,
        since=since,
        until=until,
        model=model,
        sort=sort,
        cursor=cursor,
    )


Queued = Annotated[QueueQuery, Depends(_query)]
