"""Exports all matches as CSV or JSON Lines, row by row, so that no answer is held in memory."""

import csv
import json
from collections.abc import Callable, Iterator
from enum import StrEnum
from io import StringIO
from typing import Any

from sqlalchemy import Engine

from core.spreadsheets import cell
from review.auth.access import Principal
from storage.engine import reading
from storage.queue import listing
from storage.queue.filters import Filters
from storage.queue.listing import Page, QueueItem

ROWS = 500  # read at a time, each in a short transaction of its own

COLUMNS = (
    "video_id",
    "sha256",
    "name",
    "source",
    "media_kind",
    "size_bytes",
    "duration_seconds",
    "added_at",
    "finished_at",
    "status",
    "verdict",
    "score",
    "partial",
    "coverage",
    "rejected_faces",
    "turn",
    "model_version",
    "error_code",
    "decision_state",
    "decision",
)


class Format(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"


MEDIA_TYPES = {Format.CSV: "text/csv; charset=utf-8", Format.JSONL: "application/jsonl"}


def export(engine: Engine, filters: Filters, principal: Principal, format_: Format) -> Iterator[str]:
    """The lines. The first page is read before this returns, so that errors come before any line."""
    first = _page(engine, filters, principal, None)
    rows = _rows(engine, filters, principal, first)
    write: Callable[[Iterator[dict[str, Any]]], Iterator[str]] = _csv if format_ is Format.CSV else _jsonl
    return write(rows)


def _rows(engine: Engine, filters: Filters, principal: Principal, page: Page) -> Iterator[dict[str, Any]]:
    while True:
        for item in page.items:
            yield _row(listing.blinded(item) if principal.blind else item)
        if page.next_cursor is None:
            return
        page = _page(engine, filters, principal, page.next_cursor)


def _page(engine: Engine, filters: Filters, principal: Principal, cursor: str | None) -> Page:
    with reading(engine) as session:
        return listing.page(session, filters, cursor=cursor, limit=ROWS, account_id=principal.account_id)


def _row(item: QueueItem) -> dict[str, Any]:
    values = {column: getattr(item, column) for column in COLUMNS}
    for column in ("added_at", "finished_at"):
        values[column] = values[column] and values[column].isoformat()
    return values


def _csv(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    line = StringIO()
    writer = csv.writer(line)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([cell(_flat(value)) for value in row.values()])
        yield _taken(line)
    yield _taken(line)  # the heading, if there was no row


def _flat(value: Any) -> Any:
    """Counts as text for one cell."""
    if not isinstance(value, dict):
        return value
    return ", ".join(f"{name} {number}" for name, number in value.items())


def _taken(line: StringIO) -> str:
    text = line.getvalue()
    line.seek(0)
    line.truncate()
    return text


def _jsonl(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        yield json.dumps(row, ensure_ascii=False) + "\n"
