"""Imported lists of hashes: added, listed, exported, removed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, delete, func, insert, select
from sqlalchemy.orm import Session

from core.errors import InvalidValue, NotFound
from core.settings import KnownSettings
from storage import audit
from storage.engine import reading, transaction
from storage.known import matching
from storage.known.index import ADDED_ROWS
from storage.known.list_files import Entry, ListFile
from storage.tables import FrameHashRow, KnownList, KnownMatch

LONGEST_NAME = 64  # characters


@dataclass(frozen=True, kw_only=True)
class ListView:
    name: str
    hashes: int
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Added:
    """What became of a file."""

    added: int  # hashes that the list did not have
    already: int  # that it had
    other_types: int  # entries that are no PDQ hashes
    videos: int  # that look like one of those that were added


def add(engine: Engine, name: str, file: ListFile, *, settings: KnownSettings, actor: str) -> Added:
    """Add the entries to the list, which is made where there is none, and look for videos like them.

    It takes several transactions; doing it again after one failed adds what is missing. Raises InvalidValue
    for a name that cannot be one.
    """
    list_id = _made(engine, name.strip())
    added: list[tuple[int, bytes]] = []
    for start in range(0, len(file.entries), ADDED_ROWS):
        with transaction(engine) as session:
            added += _insert(session, list_id, file.entries[start : start + ADDED_ROWS])
    videos = matching.match_entries(engine, _unmatched(engine, list_id), settings)
    with transaction(engine) as session:
        audit.record(
            session,
            actor=actor,
            action="known.imported",
            subject=name.strip(),
            added=len(added),
            videos=videos,
        )
    return Added(
        added=len(added),
        already=len(file.entries) - len(added),
        other_types=file.other_types,
        videos=videos,
    )


def _made(engine: Engine, name: str) -> int:
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or "/" in name:
        raise InvalidValue(
            field="The name of a list", reason=f"it has 1 to {LONGEST_NAME} printable characters without /"
        )
    with transaction(engine) as session:
        found = session.scalar(select(KnownList.id).where(KnownList.name == name))
        if found is not None:
            return found
        made = KnownList(name=name)
        session.add(made)
        session.flush()
        return made.id


def _insert(session: Session, list_id: int, entries: Sequence[Entry]) -> list[tuple[int, bytes]]:
    query = select(FrameHashRow.pdq).where(FrameHashRow.list_id == list_id)
    known = set(session.scalars(query.where(FrameHashRow.pdq.in_([each.pdq for each in entries]))))
    rows = [
        {"list_id": list_id, "pdq": each.pdq, "label": each.label, "quality": 100}
        for each in entries
        if each.pdq not in known
    ]
    if not rows:
        return []
    returned = insert(FrameHashRow).returning(FrameHashRow.id, FrameHashRow.pdq)
    return [(row.id, row.pdq) for row in session.execute(returned, rows)]


def _unmatched(engine: Engine, list_id: int) -> list[tuple[int, bytes]]:
    """The entries that nothing looks like yet, those of an import that was cut off included."""
    matched = select(KnownMatch.id).where(KnownMatch.list_hash_id == FrameHashRow.id).exists()
    query = select(FrameHashRow.id, FrameHashRow.pdq).where(FrameHashRow.list_id == list_id, ~matched)
    with reading(engine) as session:
        return [(row.id, row.pdq) for row in session.execute(query)]


def listed(session: Session) -> list[ListView]:
    """All lists, by name."""
    counted = select(FrameHashRow.list_id, func.count().label("hashes")).where(
        FrameHashRow.list_id.is_not(None)
    )
    counts = {row.list_id: row.hashes for row in session.execute(counted.group_by(FrameHashRow.list_id))}
    return [
        ListView(name=row.name, hashes=counts.get(row.id, 0), created_at=row.created_at)
        for row in session.scalars(select(KnownList).order_by(KnownList.name))
    ]


def entries(
    session: Session, name: str, *, after: int = 0, limit: int = ADDED_ROWS
) -> list[tuple[int, Entry]]:
    """Up to `limit` entries of a list with their numbers, from the one after `after` on. Raises NotFound."""
    query = (
        select(FrameHashRow.id, FrameHashRow.pdq, FrameHashRow.label)
        .where(FrameHashRow.list_id == _found(session, name), FrameHashRow.id > after)
        .order_by(FrameHashRow.id)
        .limit(limit)
    )
    return [(row.id, Entry(pdq=row.pdq, label=row.label)) for row in session.execute(query)]


def every_entry(engine: Engine, name: str) -> Iterator[Entry]:
    """All entries of a list, read page by page. Raises NotFound."""
    after = 0
    while True:
        with reading(engine) as session:
            page = entries(session, name, after=after)
        yield from (entry for _, entry in page)
        if len(page) < ADDED_ROWS:
            return
        after = page[-1][0]


def remove(session: Session, name: str, *, actor: str) -> None:
    """Delete the list with its entries and what was found to look like them. Raises NotFound."""
    session.execute(delete(KnownList).where(KnownList.id == _found(session, name)))
    audit.record(session, actor=actor, action="known.removed", subject=name)


def _found(session: Session, name: str) -> int:
    found = session.scalar(select(KnownList.id).where(KnownList.name == name))
    if found is None:
        raise NotFound(what="A list", key=name)
    return found
