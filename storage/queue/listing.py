"""The reviewers' queue: pages of videos by filter and order, and bounded counts.

`storage.queue.plan` explains how it stays fast; `storage.read.detail` has a single video in full.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.outcomes import NEEDS_LOOK, DecisionState, ScreeningStatus, Verdict
from storage import values
from storage.clock import Moment
from storage.queue import plan
from storage.queue.filters import Filters, Sort, parse_cursor
from storage.tables import (
    Account,
    Decision,
    FlaggedFrame,
    ModelVersionRow,
    ReviewClaim,
    Screening,
    Sighting,
    Video,
)

__all__ = [
    "Count",
    "Filters",
    "Page",
    "QueueCounts",
    "QueueItem",
    "Sort",
    "blinded",
    "count",
    "counts",
    "page",
]

COUNTED = 10_000  # rows; nobody pages further, and counting a million rows each time is too slow


@dataclass(frozen=True, kw_only=True)
class ClaimView:
    account_id: int
    account: str  # its name
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class QueueItem:
    """One video with its screening by one model version."""

    video_id: int
    screening_id: int
    sha256: str
    name: str  # the one last seen, or the SHA-256
    names: int  # how many different names it has
    media_kind: str
    size_bytes: int
    source: str  # where it was first seen
    added_at: datetime  # when it was first seen
    finished_at: datetime | None
    status: str
    verdict: str | None
    score: float | None  # calibrated, [0, 1]
    partial: bool  # not all of it could be decoded
    coverage: float | None  # decoded samples / expected samples, [0, 1]
    turn: int  # degrees clockwise by which the picture is turned so that most of the faces stand
    rejected_faces: dict[str, int]  # faces that the quality gate rejected, by reason
    longest_unseen_seconds: float | None  # of the video, without an undamaged sample
    duration_seconds: float | None
    model_version: str
    model_label: str
    error_code: str | None
    error_message: str | None
    decision_state: str
    decision: str | None  # outcome of the last decision by anybody
    my_decision: str | None  # outcome of this account's own last decision
    claim: ClaimView | None  # that has not expired
    flagged_frame_id: int | None  # the most suspicious; its crop is the thumbnail
    has_poster: bool  # a small picture of it, whatever the verdict
    score_hidden: bool = False  # see `blinded`


@dataclass(frozen=True, kw_only=True)
class Page:
    items: list[QueueItem]
    next_cursor: str | None  # None: last page


@dataclass(frozen=True, kw_only=True)
class Count:
    value: int  # at most COUNTED
    more: bool  # there are more than `value`

    def __str__(self) -> str:
        return f"{self.value:,}{'+' if self.more else ''}"


@dataclass(frozen=True, kw_only=True)
class QueueCounts:
    to_review: Count  # open and in need of review: flagged or unjudged
    second_opinion: Count
    decided: Count  # decided after needing review
    verdicts: dict[str, Count]  # open
    statuses: dict[str, Count]  # not done


def page(
    session: Session,
    filters: Filters,
    *,
    cursor: str | None = None,
    limit: int = 50,
    account_id: int | None = None,
) -> Page:
    """One page of the queue as `account_id` sees it.

    Raises InvalidQuery if the cursor belongs to another order or the text is too short.
    """
    after = None if cursor is None else parse_cursor(cursor, filters.sort)
    found = plan.find(session, filters, limit=limit + 1, after=after)
    shown = found[:limit]
    next_cursor = shown[-1].position(filters).to_cursor() if len(found) > limit else None
    return Page(
        items=items(session, [row.id for row in shown], account_id=account_id), next_cursor=next_cursor
    )


def count(session: Session, filters: Filters, *, at_most: int = COUNTED) -> Count:
    """How many videos match, counting up to `at_most`."""
    value, more = plan.count(session, filters, at_most=at_most)
    return Count(value=value, more=more)


def counts(session: Session) -> QueueCounts:
    """What the queue's tabs show."""

    def needing_a_look(state: DecisionState) -> Count:
        return count(session, Filters(verdicts=NEEDS_LOOK, decision_states=(state,)))

    def open_with(verdict: Verdict) -> Count:
        return count(session, Filters(verdicts=(verdict,), decision_states=(DecisionState.OPEN,)))

    unfinished = (status for status in ScreeningStatus if status is not ScreeningStatus.DONE)
    return QueueCounts(
        to_review=needing_a_look(DecisionState.OPEN),
        second_opinion=count(session, Filters(decision_states=(DecisionState.SECOND_OPINION,))),
        decided=needing_a_look(DecisionState.DECIDED),
        verdicts={verdict.value: open_with(verdict) for verdict in Verdict},
        statuses={status.value: count(session, Filters(statuses=(status,))) for status in unfinished},
    )


def blinded(item: QueueItem) -> QueueItem:
    """What a reviewer in blind mode may see: other answers only after giving their own."""
    if item.my_decision is not None:
        return item
    return replace(item, score=None, verdict=None, flagged_frame_id=None, decision=None, score_hidden=True)


def items(
    session: Session, screening_ids: Sequence[int], *, account_id: int | None = None
) -> list[QueueItem]:
    """The items of these screenings, in their order, as `account_id` sees them."""
    if not screening_ids:
        return []
    query = (
        select(Screening, Video, ModelVersionRow.label)
        .join(Video, Video.id == Screening.video_id)
        .join(ModelVersionRow, ModelVersionRow.id == Screening.model_version_id)
        .where(Screening.id.in_(screening_ids))
    )
    rows = {screening.id: (screening, video, label) for screening, video, label in session.execute(query)}
    video_ids = [video.id for _, video, _ in rows.values()]
    about = _About(session, list(rows), video_ids, account_id)
    return [about.item(*rows[id_]) for id_ in screening_ids if id_ in rows]


class _About:
    """More about the videos of a page, with one query per kind of fact, not per video."""

    def __init__(
        self, session: Session, screening_ids: list[int], video_ids: list[int], account_id: int | None
    ) -> None:
        self._names = _names(session, video_ids)
        self._decisions, self._mine = last_decisions(session, video_ids, account_id)
        self._claims = claims(session, video_ids)
        frames = select(FlaggedFrame.screening_id, FlaggedFrame.id).where(
            FlaggedFrame.screening_id.in_(screening_ids), FlaggedFrame.rank == 0
        )
        self._frames = {row.screening_id: row.id for row in session.execute(frames)}

    def item(self, screening: Screening, video: Video, label: str) -> QueueItem:
        names = self._names.get(video.id, [])
        return values.of_row(
            QueueItem,
            screening,
            screening_id=screening.id,
            sha256=video.sha256,
            name=names[-1] if names else video.sha256,
            names=len(names),
            media_kind=video.media_kind,
            size_bytes=video.size_bytes,
            duration_seconds=_duration(screening.probe),
            model_version=screening.model_version_id,
            model_label=label,
            decision=self._decisions.get(video.id),
            my_decision=self._mine.get(video.id),
            claim=self._claims.get(video.id),
            flagged_frame_id=self._frames.get(screening.id),
            has_poster=screening.poster_key is not None,
            score_hidden=False,
        )


def _duration(probe: dict[str, Any] | None) -> float | None:
    seconds = (probe or {}).get("duration_seconds")
    return float(seconds) if isinstance(seconds, int | float) else None


def _names(session: Session, video_ids: list[int]) -> dict[int, list[str]]:
    """The different names of each video, the most recent last."""
    query = select(Sighting.video_id, Sighting.name, func.max(Sighting.id))
    query = query.where(Sighting.video_id.in_(video_ids)).group_by(Sighting.video_id, Sighting.name)
    found: dict[int, list[str]] = defaultdict(list)
    for video_id, name, _ in session.execute(query.order_by(func.max(Sighting.id))):
        if video_id is not None:
            found[video_id].append(name)
    return found


def last_decisions(
    session: Session, video_ids: Sequence[int], account_id: int | None = None
) -> tuple[dict[int, str], dict[int, str]]:
    """The last decision on each video, and the last one of the account."""
    query = select(Decision.video_id, Decision.account_id, Decision.outcome)
    last: dict[int, str] = {}
    mine: dict[int, str] = {}
    for video_id, by, outcome in session.execute(
        query.where(Decision.video_id.in_(video_ids)).order_by(Decision.id)
    ):
        last[video_id] = outcome
        if by == account_id:
            mine[video_id] = outcome
    return last, mine


def claims(session: Session, video_ids: Sequence[int]) -> dict[int, ClaimView]:
    """Who currently holds which of these videos."""
    query = (
        select(ReviewClaim, Account.name)
        .join(Account, Account.id == ReviewClaim.account_id)
        .where(ReviewClaim.video_id.in_(video_ids), ReviewClaim.expires_at > Moment())
    )
    return {
        claim.video_id: ClaimView(account_id=claim.account_id, account=name, expires_at=claim.expires_at)
        for claim, name in session.execute(query)
    }
