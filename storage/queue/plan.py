"""How the queue finds a page among a million videos without reading them.

Each combination of status, verdict and decision state is one partition of an index that is already in the
wanted order; a page merges the heads of the partitions that the filters name (at most 27) and stops. It
starts from a value of the index (a keyset), so page 1,000 costs as much as the first.

Two kinds of filters are residual, because that index does not cover them: a range of the other column, and
text in names. If few rows match them, those rows are fetched by their own index and sorted; otherwise the
residual filters are checked while walking, which then ends soon. SQLite is told which index to use, as it has
no statistics to choose by.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Select, func, or_, select, true, tuple_, union_all
from sqlalchemy.orm import Session

from core.outcomes import DecisionOutcome, DecisionState, ScreeningStatus, Verdict
from storage.queue import names
from storage.queue.filters import Filters, Position, Sort
from storage.tables import Decision, FaceTrack, KnownMatch, Screening

# Rows: up to this many, fetching and sorting all matches is faster than walking the index until 50 of them
# have come by (with 1,000,000 rows the two cost about the same here).
FEW = 7_000
SCANNED = 20_000  # rows that a bounded count reads per partition

Conditions: TypeAlias = Sequence[ColumnElement[bool]]
Rows: TypeAlias = "Select[*tuple[Any, ...]]"
Partition: TypeAlias = tuple[ScreeningStatus, Verdict | None, DecisionState]


class _Order(Enum):
    SCORED = "by score"
    UNSCORED = "by id, among those without a score"
    TIMED = "by time"


@dataclass(frozen=True, kw_only=True)
class _Search:
    """The text to search names for, looked up once per page."""

    sought: str
    few: bool  # whether so few names match that all are fetched

    @classmethod
    def of(cls, session: Session, filters: Filters) -> "_Search | None":
        if filters.text is None:
            return None
        sought = names.checked(filters.text)
        return cls(sought=sought, few=names.few(session, sought, limit=FEW))


@dataclass(frozen=True, kw_only=True)
class Found:
    id: int  # of the screening
    video_id: int
    score: float | None
    added_at: datetime

    def position(self, filters: Filters) -> Position:
        """The position of a page that ends with this row."""
        if filters.every_screening:
            return Position(id=self.id)
        if filters.sort is Sort.TIME:
            return Position(id=self.id, added_at=self.added_at)
        return Position(id=self.id, score=self.score)


def find(
    session: Session,
    filters: Filters,
    *,
    limit: int,
    after: Position | None = None,
    extra_filters: Conditions = (),
) -> list[Found]:
    """Up to `limit` screenings in order; `extra_filters` are more conditions, which few rows should fail.

    Raises InvalidQuery for a text too short to search.
    """
    search = _Search.of(session, filters)
    if filters.every_screening:
        return _numbered(session, filters, search, after=after, limit=limit, extra_filters=extra_filters)
    if filters.sort is Sort.TIME:
        return _in_order(
            session, filters, search, _Order.TIMED, after=after, limit=limit, extra_filters=extra_filters
        )
    found: list[Found] = []
    if after is None or after.score is not None:
        found = _in_order(
            session, filters, search, _Order.SCORED, after=after, limit=limit, extra_filters=extra_filters
        )
    if len(found) < limit and filters.score_min is None and filters.score_max is None:
        after = after if after is not None and after.score is None else None
        left = limit - len(found)
        found += _in_order(
            session, filters, search, _Order.UNSCORED, after=after, limit=left, extra_filters=extra_filters
        )
    return found


def _numbered(
    session: Session,
    filters: Filters,
    search: _Search | None,
    *,
    after: Position | None,
    limit: int,
    extra_filters: Conditions,
) -> list[Found]:
    named = [] if search is None else [names.has_name_with(search.sought)]
    keyset = _keyset(filters, _Order.UNSCORED, after)
    query = _columns().where(*_conditions(filters), *_ranges(filters), *named, *keyset, *extra_filters)
    number = Screening.id.asc() if filters.ascending else Screening.id.desc()
    return [Found(**row._mapping) for row in session.execute(query.order_by(number).limit(limit))]


def count(session: Session, filters: Filters, *, at_most: int) -> tuple[int, bool]:
    """How many match, counting up to `at_most`, and whether there may be more."""
    if filters.every_screening:
        raise ValueError("every_screening cannot be counted")
    if filters.text is not None:
        return _counted_by_text(session, filters, names.checked(filters.text), at_most)
    order = _Order.SCORED if _has_score_range(filters) else _Order.TIMED
    residual = _residual(filters, order)
    partitions = _partitions(filters, order)
    heads = []
    for partition in partitions:
        query = _hinted(select(Screening.id).where(*_on_index(filters, order, partition)), filters, order)
        query = query.where(*_range(filters, order))
        if residual:
            seen = query.limit(SCANNED).subquery()
            query = select(Screening.id).where(Screening.id.in_(select(seen.c.id)), *residual)
        heads.append(query.limit(at_most + 1))
    if not heads:
        return 0, False
    total, more = _counted(session, _union(heads), at_most)
    more = more or (bool(residual) and any(_is_long(session, filters, order, each) for each in partitions))
    return total, more


def _counted(session: Session, query: Rows, at_most: int) -> tuple[int, bool]:
    total = session.scalar(select(func.count()).select_from(query.limit(at_most + 1).subquery())) or 0
    return min(total, at_most), total > at_most


def _counted_by_text(session: Session, filters: Filters, sought: str, at_most: int) -> tuple[int, bool]:
    named = names.matching(session, sought).limit(SCANNED)
    total, more = _counted(session, _by_text(filters, named, _ranges(filters)), at_most)
    return total, more or not names.few(session, sought, limit=SCANNED)


def _is_long(session: Session, filters: Filters, order: _Order, partition: Partition) -> bool:
    """Whether the partition is too long for a bounded count."""
    within = [*_on_index(filters, order, partition), *_range(filters, order)]
    query = _hinted(select(Screening.id).where(*within), filters, order).limit(SCANNED)
    return session.scalar(select(func.count()).select_from(query.subquery())) == SCANNED


def _in_order(
    session: Session,
    filters: Filters,
    search: _Search | None,
    order: _Order,
    *,
    after: Position | None,
    limit: int,
    extra_filters: Conditions,
) -> list[Found]:
    if not _partitions(filters, order):
        return []
    rows = _plan(
        session, filters, search, order, after=after, limit=limit, extra_filters=extra_filters
    ).subquery()
    ordered = select(rows.c.id, rows.c.video_id, rows.c.score, rows.c.added_at)
    ordered = ordered.order_by(*_ordering(filters, order, rows.c)).limit(limit)
    return [Found(**row._mapping) for row in session.execute(ordered)]


def _plan(
    session: Session,
    filters: Filters,
    search: _Search | None,
    order: _Order,
    *,
    after: Position | None,
    limit: int,
    extra_filters: Conditions,
) -> Rows:
    partitions, keyset = _partitions(filters, order), _keyset(filters, order, after)
    here = [*_range(filters, order), *keyset, *extra_filters]
    if search is not None and search.few:
        named = names.matching(session, search.sought)
        return _by_text(filters, named, [*_ranges(filters), *keyset, *extra_filters, *_scored(order)])
    if order is not _Order.UNSCORED:
        other = _Order.TIMED if order is _Order.SCORED else _Order.SCORED
        across = _range(filters, other)
        if across and search is None:
            return _across(session, filters, order, other=other, here=[*here, *_scored(order)], limit=limit)
    residual = _residual(filters, order)
    walks = [
        _hinted(_columns().where(*_on_index(filters, order, partition), *here, *residual), filters, order)
        .order_by(*_along(filters, order, partition))
        .limit(limit)
        for partition in partitions
    ]
    return _union(walks)


def _across(
    session: Session, filters: Filters, order: _Order, *, other: _Order, here: Conditions, limit: int
) -> Rows:
    """Walk each partition, or fetch its matches if they are few.

    A verdict may have almost none in a range of scores."""
    partitions = _partitions(filters, order)
    matches = [
        _hinted(
            _columns().where(*_on_index(filters, other, partition), *_range(filters, other)), filters, other
        )
        for partition in partitions
    ]
    few = FEW // len(partitions)
    heads = [match.limit(few + 1).subquery() for match in matches]
    counted = session.execute(select(*(select(func.count()).select_from(h).scalar_subquery() for h in heads)))
    residual = _residual(filters, order)
    return _union(
        [
            match.where(*here).offset(0)
            if number <= few
            else _hinted(
                _columns().where(*_on_index(filters, order, partition), *here, *residual), filters, order
            )
            .order_by(*_along(filters, order, partition))
            .limit(limit)
            for partition, match, number in zip(partitions, matches, counted.one(), strict=True)
        ]
    )


def _columns() -> Rows:
    return select(Screening.id, Screening.video_id, Screening.score, Screening.added_at)


def _union(queries: Sequence[Rows]) -> Rows:
    # Only subqueries can have a limit of their own within a union.
    parts = [select(query.subquery()) for query in queries]
    return parts[0] if len(parts) == 1 else select(union_all(*parts).subquery())


def _by_text(filters: Filters, named: Select[int | None], conditions: Conditions) -> Rows:
    """The rows of the videos whose ids `named` selects."""
    # The offset keeps PostgreSQL from walking the ordered index instead.
    query = _columns().where(Screening.video_id.in_(named), *_conditions(filters), *conditions).offset(0)
    return query.with_hint(Screening, "INDEXED BY sqlite_autoindex_screening_1", "sqlite")


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    """All filters except the ranges and the text."""
    found = [
        *_scope(filters),
        Screening.decision_state.in_(filters.decision_states or tuple(DecisionState)),
    ]
    if filters.statuses:
        found.append(Screening.status.in_(filters.statuses))
    if filters.verdicts:
        found.append(Screening.verdict.in_(filters.verdicts))
    return found


def _partitions(filters: Filters, order: _Order) -> list[Partition]:
    """The combinations of status, verdict and decision state that the filters name."""
    statuses = filters.statuses or tuple(ScreeningStatus)
    verdicts = filters.verdicts or tuple(Verdict)
    if filters.families:  # only flagged faces have one
        verdicts = tuple(verdict for verdict in verdicts if verdict.flagged)
    answers: list[tuple[ScreeningStatus, Verdict | None]] = []
    if ScreeningStatus.DONE in statuses:
        answers += [(ScreeningStatus.DONE, verdict) for verdict in verdicts]
    if not filters.verdicts and not filters.families and order is not _Order.SCORED:  # no verdict, no score
        answers += [(status, None) for status in statuses if status != ScreeningStatus.DONE]
    states = filters.decision_states or tuple(DecisionState)
    return [
        (status, verdict, state)
        for status, verdict in dict.fromkeys(answers)
        for state in dict.fromkeys(states)
    ]


def _on_index(filters: Filters, order: _Order, partition: Partition) -> list[ColumnElement[bool]]:
    status, verdict, state = partition
    return [
        *_scope(filters),
        Screening.status == status,
        Screening.verdict.is_(None) if verdict is None else Screening.verdict == verdict,
        Screening.decision_state == state,
        *_scored(order),
    ]


def _scope(filters: Filters) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if filters.model_version is not None:
        found.append(Screening.model_version_id == filters.model_version)
    elif not filters.every_screening:
        found.append(Screening.latest == true())
    if filters.source is not None:
        found.append(Screening.source == filters.source)
    if filters.provenance:
        found.append(Screening.provenance_stated.in_(filters.provenance))
    if filters.families:
        alike = select(FaceTrack.id).where(
            FaceTrack.screening_id == Screening.id, FaceTrack.family.in_(filters.families)
        )
        found.append(alike.exists())
    if filters.known:
        found.append(or_(*_looks_known()))
    return found


def _looks_known() -> list[ColumnElement[bool]]:
    """It looks like an entry of a list, or like a video on which somebody decided, whichever came first."""

    def decided(video: Any) -> ColumnElement[bool]:
        answered = Decision.outcome != DecisionOutcome.SECOND_OPINION
        return select(Decision.id).where(Decision.video_id == video, answered).exists()

    known = or_(KnownMatch.list_hash_id.is_not(None), decided(KnownMatch.other_video_id))
    found = select(KnownMatch.id).where(KnownMatch.video_id == Screening.video_id, known)
    finder = select(KnownMatch.id).where(
        KnownMatch.other_video_id == Screening.video_id, decided(KnownMatch.video_id)
    )
    return [found.exists(), finder.exists()]


def _hinted(query: Rows, filters: Filters, order: _Order) -> Rows:
    if filters.model_version is not None:
        led_by = "model_"
    elif filters.source is not None:
        led_by = "source_"
    else:
        led_by = ""
    index = f"ix_screening_queue_{led_by}{'time' if order is _Order.TIMED else 'score'}"
    return query.with_hint(Screening, f"INDEXED BY {index}", "sqlite")


def _scored(order: _Order) -> list[ColumnElement[bool]]:
    if order is _Order.SCORED:
        return [Screening.score.is_not(None)]
    return [Screening.score.is_(None)] if order is _Order.UNSCORED else []


def _has_score_range(filters: Filters) -> bool:
    return filters.score_min is not None or filters.score_max is not None


def _range(filters: Filters, order: _Order) -> list[ColumnElement[bool]]:
    """The range filters on the column of an order."""
    found: list[ColumnElement[bool]] = []
    if order is _Order.SCORED:
        if filters.score_min is not None:
            found.append(Screening.score >= filters.score_min)
        if filters.score_max is not None:
            found.append(Screening.score <= filters.score_max)
    elif order is _Order.TIMED:
        if filters.since is not None:
            found.append(Screening.added_at >= filters.since)
        if filters.until is not None:
            found.append(Screening.added_at < filters.until)
    return found


def _ranges(filters: Filters) -> list[ColumnElement[bool]]:
    return [*_range(filters, _Order.SCORED), *_range(filters, _Order.TIMED)]


def _residual(filters: Filters, order: _Order) -> list[ColumnElement[bool]]:
    """The filters that an order does not cover, checked while walking it."""
    found = [condition for other in _Order if other is not order for condition in _range(filters, other)]
    if filters.text is not None:
        found.append(names.has_name_with(names.checked(filters.text)))
    return found


def _keyset(filters: Filters, order: _Order, after: Position | None) -> list[ColumnElement[bool]]:
    if after is None:
        return []
    if order is _Order.UNSCORED:
        return [Screening.id > after.id if filters.ascending else Screening.id < after.id]
    by_score = order is _Order.SCORED
    here: Any = tuple_(Screening.score if by_score else Screening.added_at, Screening.id)
    there = (after.score if by_score else after.added_at, after.id)
    return [here > there if filters.ascending else here < there]


def _along(filters: Filters, order: _Order, partition: Partition) -> list[ColumnElement[Any]]:
    """The order within a partition, written so that PostgreSQL recognises the index.

    PostgreSQL ignores a column that equals a constant, but not one that is null: those are listed.
    """
    nulls: list[Any] = [Screening.verdict] if partition[1] is None else []
    if order is _Order.UNSCORED:
        nulls.append(Screening.score)
    named = [column.asc() if filters.ascending else column.desc() for column in nulls]
    return [*named, *_ordering(filters, order, Screening)]


def _ordering(filters: Filters, order: _Order, columns: Any) -> list[ColumnElement[Any]]:
    keys = {_Order.SCORED: [columns.score], _Order.TIMED: [columns.added_at], _Order.UNSCORED: []}[order]
    return [key.asc() if filters.ascending else key.desc() for key in [*keys, columns.id]]
