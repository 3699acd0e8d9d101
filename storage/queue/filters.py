"""Filters of the queue, and the position where a page ends."""

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from core.errors import InvalidQuery
from core.families import Family
from core.outcomes import DecisionState, ScreeningStatus, Verdict
from core.provenance import Stated

LONGEST_CURSOR = 500  # characters; ours have about 60


class Sort(StrEnum):
    SCORE = "score"  # videos without a score come last
    TIME = "time"  # when the video was first seen


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Empty and None mean "any"; all given filters must match."""

    verdicts: tuple[Verdict, ...] = ()
    statuses: tuple[ScreeningStatus, ...] = ()
    families: tuple[Family, ...] = ()  # that a flagged face of it most resembles
    known: bool = False  # looks like a decided video or an entry of a list
    provenance: tuple[Stated, ...] = ()  # what the file states about itself
    score_min: float | None = None  # [0, 1], inclusive; excludes videos without a score
    score_max: float | None = None  # [0, 1], inclusive
    since: datetime | None = None  # first seen at this moment or later
    until: datetime | None = None  # first seen before this moment
    source: str | None = None  # where the video was first seen
    model_version: str | None = None  # None: the screening that represents the video (Screening.latest)
    text: str | None = None  # part of a name, at least names.SHORTEST characters
    decision_states: tuple[DecisionState, ...] = ()
    sort: Sort = Sort.SCORE
    ascending: bool = False  # lowest score or oldest first
    # All screenings, including those that a later one replaced, always by id and never by `sort`. Meant for
    # the command line: no index of the queue supports it.
    every_screening: bool = False


@dataclass(frozen=True, kw_only=True)
class Position:
    """The last row of a page; the next page begins right after it."""

    id: int  # of the screening
    score: float | None = None  # if sorted by score; None: among the videos without one
    added_at: datetime | None = None  # if sorted by time

    def to_cursor(self) -> str:
        moment = None if self.added_at is None else self.added_at.astimezone(UTC).isoformat()
        packed = json.dumps([self.id, self.score, moment], separators=(",", ":"))
        return base64.urlsafe_b64encode(packed.encode()).decode().rstrip("=")


def parse_cursor(cursor: str, sort: Sort) -> Position:
    """The position in a cursor made by `to_cursor`. Raises InvalidQuery for anything else."""
    try:
        position = _unpacked(cursor)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        reason = "it is not a cursor of this list; start again without one"
        raise InvalidQuery(parameter="cursor", reason=reason) from error
    if (sort is Sort.TIME) != (position.added_at is not None):
        raise InvalidQuery(
            parameter="cursor", reason="it belongs to another sort order; start again without one"
        )
    return position


def _unpacked(cursor: str) -> Position:
    if len(cursor) > LONGEST_CURSOR:
        raise ValueError("too long")
    padded = cursor + "=" * (-len(cursor) % 4)
    id_, score, moment = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    if type(id_) is not int or not 0 <= id_ < 2**31 or type(score) not in {float, int, type(None)}:
        raise ValueError("no position")
    if score is not None and not 0 <= score <= 1:
        raise ValueError("no score")
    added_at = None if moment is None else datetime.fromisoformat(moment).astimezone(UTC)
    return Position(id=id_, score=score, added_at=added_at)
