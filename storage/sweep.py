"""Objects that no row refers to, and rows whose object is missing.

A crash between storing an object and committing the row that refers to it leaves the object behind. It only
takes space: a later run with the same content stores it again, replacing the first.

Nothing that is still needed gets removed: storing renews an object's age even if it already existed; only
objects older than the grace period are considered; references are checked again before a batch is removed;
and the age is checked once more under a lock that every store takes too (`ObjectStore.discard`).
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import structlog
from sqlalchemy import Engine, select

from core import metrics
from core.errors import Conflict
from core.settings import SweepSettings
from storage.engine import reading
from storage.objects.store import ObjectStore, StoredObject
from storage.tables import Base, ExplanationRow, FlaggedFrame, Screening, StreamAlert, StreamEvidence, Video

log = structlog.get_logger()

# Every column that refers to objects: a key, or a mapping of names to keys. A test finds missing ones.
COLUMNS: dict[type[Base], tuple[str, ...]] = {
    Video: ("object_key",),
    Screening: ("poster_key",),
    FlaggedFrame: ("image_key", "crop_key"),
    ExplanationRow: ("overlays",),
    StreamAlert: ("clip_key",),
    StreamEvidence: ("image_key", "crop_key"),
}
PAGE = 1000  # rows read, and objects compared or removed, at a time
EXAMPLES = 20  # missing objects listed by key
# This many may always be removed; more only if they are a small share of the store.
ALWAYS_REMOVED = 10

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Named:
    """A row that refers to an object."""

    key: str
    table: str
    row: int  # its id

    def __str__(self) -> str:
        return f"{self.key} of {self.table} {self.row}"


@dataclass(frozen=True, kw_only=True)
class Findings:
    objects: int  # in the store
    orphans: int  # of these, older than the grace period and without a row
    orphan_bytes: int
    half_written: int  # partial files of processes that were killed while storing
    missing: int  # objects that rows refer to and that are gone
    examples: tuple[str, ...]  # the first of these, with the rows that refer to them


@dataclass(frozen=True, kw_only=True)
class Swept:
    found: Findings
    removed: int  # objects
    removed_bytes: int


def look(
    engine: Engine,
    objects: ObjectStore,
    settings: SweepSettings,
    *,
    heartbeat: Callable[[], None] = lambda: None,
) -> Findings:
    """Compare the store with the database. `heartbeat` is called between pages and may raise to stop."""
    with closing(_Ledger(engine, objects, settings, heartbeat)) as ledger:
        return ledger.findings()


def sweep(
    engine: Engine,
    objects: ObjectStore,
    settings: SweepSettings,
    *,
    force: bool = False,
    heartbeat: Callable[[], None] = lambda: None,
) -> Swept:
    """Remove objects without a row, and partial files.

    Raises Conflict if suspiciously many would be removed (is this another database's store?), unless `force`.
    """
    with closing(_Ledger(engine, objects, settings, heartbeat)) as ledger:
        found = ledger.findings()
        _report(found)
        if not force:
            _check(found, settings)
        objects.sweep(settings.grace_hours * 3600)
        sizes = [size for size in ledger.removals() if size is not None]
    metrics.SWEPT.inc(len(sizes))
    metrics.SWEPT_BYTES.inc(sum(sizes))
    log.info("swept", removed=len(sizes), bytes=sum(sizes), half_written=found.half_written)
    return Swept(found=found, removed=len(sizes), removed_bytes=sum(sizes))


def _report(found: Findings) -> None:
    for state in ("objects", "orphans", "missing"):
        metrics.OBJECTS.labels(state=state).set(getattr(found, state))
    if found.missing:
        log.error("objects are missing", count=found.missing, examples=list(found.examples))


def _check(found: Findings, settings: SweepSettings) -> None:
    allowed = max(ALWAYS_REMOVED, settings.max_fraction * found.objects)
    if found.orphans > allowed or (found.orphans and found.orphans == found.objects):
        raise Conflict(
            what="the sweep of",
            key=f"{found.orphans} objects of {found.objects}",
            reason="so many without a row may mean that FACEWARDEN_DATABASE_URL or FACEWARDEN_OBJECTS is"
            " another installation's; nothing was removed. If they are right, run `facewarden sweep --force`",
        )


class _Ledger:
    """Both sides in a temporary SQLite database on disk, so that memory stays bounded."""

    def __init__(
        self, engine: Engine, objects: ObjectStore, settings: SweepSettings, heartbeat: Callable[[], None]
    ) -> None:
        self._engine, self._objects, self._heartbeat = engine, objects, heartbeat
        self._oldest = objects.now() - settings.grace_hours * 3600
        self._book = sqlite3.connect("", isolation_level=None)
        self._book.execute(
            "CREATE TABLE named (key TEXT PRIMARY KEY, tab TEXT, row INT, there INT DEFAULT 0)"
        )
        self._book.execute("CREATE TABLE orphan (key TEXT PRIMARY KEY, bytes INT)")

    def close(self) -> None:
        self._book.close()

    def findings(self) -> Findings:
        # Rows first: an object stored later is too young to be removed.
        for page in _pages(self._named()):
            self._book.executemany(
                "INSERT OR IGNORE INTO named (key, tab, row) VALUES (?, ?, ?)",
                [(each.key, each.table, each.row) for each in page],
            )
        count = sum(self._compare(page) for page in _pages(self._objects.stored()))
        missing = list(self._missing())
        orphans, size = self._book.execute("SELECT count(*), coalesce(sum(bytes), 0) FROM orphan").fetchone()
        return Findings(
            objects=count,
            orphans=orphans,
            orphan_bytes=size,
            half_written=self._objects.half_written(self._oldest),
            missing=len(missing),
            examples=tuple(str(each) for each in missing[:EXAMPLES]),
        )

    def removals(self) -> Iterator[int | None]:
        """Remove the orphans; yields the bytes of each, or None for one that is needed by now."""
        after = ""
        while True:
            rows = self._book.execute(
                "SELECT key FROM orphan WHERE key > ? ORDER BY key LIMIT ?", (after, PAGE)
            )
            page = [key for (key,) in rows]
            if not page:
                return
            after = page[-1]
            named_now = {each.key for each in self._named() if each.key in set(page)}
            for key in page:
                self._heartbeat()
                yield None if key in named_now else self._objects.discard(key, older_than=self._oldest)

    def _named(self) -> Iterator[Named]:
        """All references, table by table, in short transactions."""
        for table, columns in COLUMNS.items():
            after = 0
            while True:
                self._heartbeat()
                # Any: no type says that all of these tables have an id.
                wanted: Any = table
                query = select(wanted.id, *(getattr(table, column) for column in columns))
                with reading(self._engine) as session:
                    rows = session.execute(
                        query.where(wanted.id > after).order_by(wanted.id).limit(PAGE)
                    ).all()
                if not rows:
                    break
                for number, *values in rows:
                    for key in keys_of(values):
                        yield Named(key=key, table=str(table.__tablename__), row=number)
                after = rows[-1][0]

    def _compare(self, page: Sequence[StoredObject]) -> int:
        self._heartbeat()
        marks = ", ".join("?" for _ in page)
        keys = [each.key for each in page]
        # Only question marks are interpolated.
        named = {
            key
            for (key,) in self._book.execute(
                f"UPDATE named SET there = 1 WHERE key IN ({marks}) RETURNING key",  # noqa: S608
                keys,
            )
        }
        self._book.executemany(
            "INSERT INTO orphan VALUES (?, ?)",
            [
                (each.key, each.size_bytes)
                for each in page
                if each.key not in named and each.modified < self._oldest
            ],
        )
        return len(page)

    def _missing(self) -> Iterator[Named]:
        """What is still referred to and still missing: rows and objects may have come or gone meanwhile."""
        for key, table, row in self._book.execute("SELECT key, tab, row FROM named WHERE NOT there"):
            self._heartbeat()
            if not self._objects.exists(key) and self._still_names(key, table, row):
                yield Named(key=key, table=table, row=row)

    def _still_names(self, key: str, table: str, row: int) -> bool:
        (entity,) = (each for each in COLUMNS if each.__tablename__ == table)
        with reading(self._engine) as session:
            found = session.get(entity, row)
            return found is not None and key in keys_of([getattr(found, name) for name in COLUMNS[entity]])


def keys_of(values: Sequence[Any]) -> list[str]:
    """The keys in columns that refer to objects; an erased one's is empty."""
    found = (key for value in values for key in (value.values() if isinstance(value, dict) else (value,)))
    return [key for key in found if key]


def _pages(items: Iterator[Item]) -> Iterator[list[Item]]:
    while page := list(islice(items, PAGE)):
        yield page
