"""Screenings by the queue's filters, page by page and however many, for what is done to all of them."""

from dataclasses import replace
from typing import Any

from sqlalchemy import true
from sqlalchemy.orm import Session

from storage.queue import plan
from storage.queue.filters import Filters, Position
from storage.queue.plan import Found
from storage.tables import Screening


def page(session: Session, filters: Filters, *, after: int, limit: int) -> list[Found]:
    """Up to `limit` screenings that match, by id, those beyond `after`.

    As in the queue these are the ones that represent their videos, unless the filters name a model version.
    """
    latest: list[Any] = [] if filters.model_version is not None else [Screening.latest == true()]
    by_number = replace(filters, every_screening=True, ascending=True)
    return plan.find(session, by_number, limit=limit, after=Position(id=after), extra_filters=latest)
