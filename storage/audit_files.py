"""The audit log as a file that a stranger can verify, without a database and without Facewarden.

JSON Lines, or CSV with a heading; an event a line, in order, with the columns `COLUMNS`. The hash of an event
is the SHA-256 of the canonical JSON of all its other columns (`storage.audit.event_hash`), which is the JSON
line without `hash`, its keys sorted and without blanks. In CSV `detail` is JSON, and a text that begins with
an apostrophe, or so that a spreadsheet could take it for a formula, has one more apostrophe in front.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from core.errors import BadAuditFile, InvalidValue
from core.spreadsheets import quoted, unquoted
from storage import audit
from storage.audit import EventView, Verification
from storage.engine import reading, transaction
from storage.tables import AuditEvent

COLUMNS = tuple(each.name for each in fields(EventView))
TEXTS = ("actor", "action", "subject")
LONGEST_LINE = 64 * 1024**2  # characters; the longest events list the numbers of many videos


class Format(StrEnum):
    JSONL = "jsonl"
    CSV = "csv"


MEDIA_TYPES = {Format.JSONL: "application/jsonl", Format.CSV: "text/csv; charset=utf-8"}


def moment(text: str) -> datetime:
    """A date or a moment in ISO 8601, UTC unless it says otherwise. Raises InvalidValue."""
    try:
        given = datetime.fromisoformat(text.strip())
        given = given if given.tzinfo is not None else given.replace(tzinfo=UTC)
        given.astimezone(UTC)  # which the database will do, and which can leave the calendar
    except (ValueError, OverflowError) as error:
        reason = f"`{text}` is no date such as 2026-11-27 or 2026-11-27T08:00:00+00:00"
        raise InvalidValue(field="since", reason=reason) from error
    return given


def export(engine: Engine, format_: Format, *, actor: str, since: datetime | None = None) -> Iterator[str]:
    """The lines of a file with every event up to now, or those from `since` on.

    That it was exported, by `actor`, is the last event in it. Each page is read in a short transaction.
    """
    with transaction(engine) as session:
        detail = {} if since is None else {"since": since.astimezone(UTC).isoformat()}
        audit.record(
            session, actor=actor, action="audit.exported", subject="audit log", format=format_, **detail
        )
    with reading(engine) as session:
        first, last = _bounds(session, since)
    write = _csv_lines if format_ is Format.CSV else _json_lines
    return write(_events(engine, first - 1, last))


def _bounds(session: Session, since: datetime | None) -> tuple[int, int]:
    last = session.scalar(select(func.max(AuditEvent.id))) or 0
    if since is None:
        return 1, last
    # The lowest number, not the first moment: clocks differ, and a chain has no gaps.
    return session.scalar(select(func.min(AuditEvent.id)).where(AuditEvent.at >= since)) or last + 1, last


def _events(engine: Engine, after: int, until: int) -> Iterator[EventView]:
    while True:
        with reading(engine) as session:
            found = audit.following(session, after, until=until)
        if not found:
            return
        yield from found
        after = found[-1].id


def _record(event: EventView) -> dict[str, Any]:
    record = {name: getattr(event, name) for name in COLUMNS}
    return record | {"at": event.at.astimezone(UTC).isoformat(timespec="microseconds")}


def _json_lines(events: Iterable[EventView]) -> Iterator[str]:
    for each in events:
        yield json.dumps(_record(each), sort_keys=True, separators=(",", ":")) + "\n"


def _csv_lines(events: Iterable[EventView]) -> Iterator[str]:
    line = io.StringIO()
    writer = csv.writer(line)
    writer.writerow(COLUMNS)
    for each in events:
        record = _record(each) | {"detail": json.dumps(each.detail, sort_keys=True)}
        writer.writerow([quoted(value) if isinstance(value, str) else value for value in record.values()])
        yield line.getvalue()
        line.seek(0)
        line.truncate()
    yield line.getvalue()  # the heading, if there was no event


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a file was found to hold."""

    verification: Verification
    first_id: int | None  # of its events; None if it has none
    after: str  # the hash before its first event: audit.FIRST if the file begins with the log


def verify(path: Path, *, expected: str | None = None) -> Checked:
    """Check the chain in an exported file. Raises BadAuditFile, and OSError as `open` does."""
    with path.open(encoding="utf-8", newline="") as file:
        events = _read(file, path.name)
        first = next(events, None)
        after = audit.FIRST if first is None else first.previous_hash
        # From its first number on it is the whole log, and nothing comes before that.
        start = audit.FIRST if first is not None and first.id == 1 else after
        everything = events if first is None else chain([first], events)
        found = audit.Chain(after=start, expected=expected).follow(everything)
    return Checked(verification=found, first_id=None if first is None else first.id, after=after)


def _read(file: TextIO, name: str) -> Iterator[EventView]:
    place = 0  # the last line that was read well
    try:
        lines = _lines(file, name)
        first = next(lines, "")
        if not first:
            return
        as_json = first.lstrip().startswith("{")
        records = _json_records if as_json else _csv_records
        for number, record in records(chain([first], lines)):
            event = None if record is None else _event(record)
            place = number
            if event is not None:
                yield event
    except (ValueError, KeyError, TypeError, RecursionError, csv.Error) as error:
        raise BadAuditFile(name=name, place=f"line {place + 1}", reason=_reason(error)) from error


def _lines(file: TextIO, name: str) -> Iterator[str]:
    number = 0
    while line := file.readline(LONGEST_LINE):
        number += 1
        if len(line) == LONGEST_LINE:
            reason = f"it is longer than {LONGEST_LINE} characters"
            raise BadAuditFile(name=name, place=f"line {number}", reason=reason)
        yield line


def _json_records(lines: Iterator[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(lines, start=1):
        record = json.loads(line)
        if not isinstance(record, dict):
            raise TypeError("it is no object")
        yield number, record


def _csv_records(lines: Iterator[str]) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Line by line, with None for the heading."""
    before = csv.field_size_limit(LONGEST_LINE)
    try:
        reader = csv.reader(lines, strict=True)
        if tuple(next(reader, ())) != COLUMNS:
            raise ValueError(f"the columns are not {', '.join(COLUMNS)}")
        yield reader.line_num, None
        for row in reader:
            record: dict[str, Any] = dict(zip(COLUMNS, row, strict=True))
            record |= {name: unquoted(record[name]) for name in TEXTS}
            record |= {"id": int(record["id"]), "detail": json.loads(record["detail"])}
            yield reader.line_num, record
    finally:
        csv.field_size_limit(before)


def _event(record: dict[str, Any]) -> EventView:
    values = {name: record[name] for name in COLUMNS}
    if len(record) != len(COLUMNS):
        raise ValueError(f"it has other fields than {', '.join(COLUMNS)}")
    texts = [values[name] for name in (*TEXTS, "previous_hash", "hash")]
    if type(values["id"]) is not int or not isinstance(values["detail"], dict):
        raise ValueError("`id` is no whole number, or `detail` no object")
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a field that holds text holds something else")
    at = datetime.fromisoformat(values["at"])
    if at.tzinfo is None:
        raise ValueError("`at` has no time zone")
    return EventView(**values | {"at": at})


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"there is no {error}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
