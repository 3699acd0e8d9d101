"""Screenings by the queue's filters, page by page and however many, for what is done to all of them."""

from dataclasses import replace
from typing import Any

from sqlalchemy import func, select, true
from sqlalchemy.orm import Session

from storage.queue import plan
from storage.queue.filters import Filters, Position
from storage.queue.plan import Found
from storage.tables import Screening


def newest(session: Session) -> int:
    """The highest id of a screening; 0 without any."""
    return session.scalar(select(func.max(Screening.id))) or 0


def page(
    session: Session, filters: Filters, *, after: int, limit: int, up_to: int | None = None
) -> list[Found]:
    """Up to `limit` screenings that match, by id, those beyond `after`; none beyond `up_to`.

    As in the queue these are the ones that represent their videos, unless the filters name a model version.
    """
    more: list[Any] = [] if filters.model_version is not None else [Screening.latest == true()]
    if up_to is not None:
        more.append(Screening.id <= up_to)
    by_number = replace(filters, every_screening=True, ascending=True)
    return plan.find(session, by_number, limit=limit, after=Position(id=after), extra_filters=more)
