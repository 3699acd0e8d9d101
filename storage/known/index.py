"""All stored hashes in memory, searched exactly: every one within so many bits of a query.

Most of them are found by multi-index hashing (Norouzi, Punjani and Fleet, "Fast Search in Hamming Space with
Multi-Index Hashing", CVPR 2012): of two hashes that differ in at most 31 of 256 bits, cut into 16 parts, one
part differs in at most one bit. So only those are compared that share a part with the query, or nearly. The
latest ones, which are not in those tables yet, are compared one and all.

SQL is the truth. The index follows the table by its numbers, which are given out once; a row that is gone
since stays in memory until the tables are built again, so whoever searches looks the rows up (or finds none).

The one exception: hashes do not wait for the disk (storage.durability), and a crash of the database that
loses the last rows also forgets that their numbers were given out. So the newest row is looked at each
time: whether it is still the same. If not, what was read in the minute before is forgotten and read again.
Perhaps the row was only erased; then that was for nothing.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Integer, Select, bindparam, select
from sqlalchemy.orm import Session

from core.known import HASH_BITS, HASH_BYTES
from storage.durability import LOSABLE_SECONDS
from storage.tables import FrameHashRow

PARTS = 16  # of 16 bits each
KEYS = 1 << 16
READ_ROWS = 20_000  # fetched at a time
# Numbers are given out before their transactions commit: a lower one may appear after a higher one. So those
# that are missing among the last ones are looked for each time. A transaction takes some fifty numbers, that
# of an import ADDED_ROWS.
UNSETTLED = 4000
MOST_ASKED = 200  # missing numbers that are asked for by name; of more, all that follow the first are read
ADDED_ROWS = 1000
LATEST_ROWS = 20_000  # that are compared one and all: a third of a millisecond
LATEST_PART = 8  # or one in so many of those in the tables

_COLUMNS = FrameHashRow.__table__.c
_LATER = _COLUMNS.id >= bindparam("start")


def _page(which: ColumnElement[bool]) -> Select[Any]:
    query = select(_COLUMNS.id, _COLUMNS.pdq).where(which).order_by(_COLUMNS.id)
    return query.limit(bindparam("most", type_=Integer))


# Built once: they run for each video.
_FROM = _page(_LATER)
_FROM_AND_MISSING = _page(_LATER | _COLUMNS.id.in_(bindparam("missing", expanding=True)))

Ids = NDArray[np.int64]
Words = NDArray[np.uint64]


@dataclass(frozen=True, kw_only=True)
class Hits:
    """What is near the queries, one entry for each pair."""

    query: NDArray[np.int64]  # which one
    ids: Ids  # of the row in `frame_hash`
    distance: NDArray[np.int64]  # bits


class HashIndex:
    """The hashes of the table `frame_hash`, for one process; not for several threads at once."""

    def __init__(self) -> None:
        self._ids: Ids = np.empty(0, np.int64)
        self._words: Words = np.empty((0, 4), np.uint64)
        self._order: NDArray[np.int32] = np.empty((PARTS, 0), np.int32)
        self._starts: NDArray[np.int64] = np.zeros((PARTS, KEYS + 1), np.int64)
        self._late_ids: Ids = np.empty(0, np.int64)
        self._late_words: Words = np.empty((0, 4), np.uint64)
        self._highest = 0  # number read so far
        self._newest: bytes | None = None  # the hash of that number, where it is to be looked at
        self._missing: set[int] = set()  # lower numbers that no row has had yet
        self._settled = 0  # `_highest` at least LOSABLE_SECONDS before the rows were last followed
        self._mark = float("-inf"), 0  # time.monotonic(), and what was the highest then: settled next

    def __len__(self) -> int:
        return len(self._ids) + len(self._late_ids)

    def follow(self, session: Session) -> None:
        """Read what was added to the table since."""
        if not self._read(session):
            self._forget_losable()
            self._read(session)
        now = time.monotonic()
        if now - self._mark[0] >= LOSABLE_SECONDS:
            self._settled, self._mark = self._mark[1], (now, self._highest)

    def _read(self, session: Session) -> bool:
        """False, and nothing is read, if the newest row is not what it was."""
        highest, missing, same = self._highest, self._missing, self._newest is None
        ids: list[int] = []
        packed: list[bytes] = []
        for id_, pdq in self._added(session):
            same = same or (id_ == highest and pdq == self._newest)
            if id_ > highest or id_ in missing:
                ids.append(id_)
                packed.append(pdq)
        if ids and same:
            self.add(np.array(ids, np.int64), np.frombuffer(b"".join(packed), np.uint8))
            floor = max(0, self._highest - UNSETTLED)
            passed = range(max(highest, floor) + 1, self._highest)
            self._missing = {id_ for id_ in missing.union(passed).difference(ids) if id_ > floor}
        return same

    def _forget_losable(self) -> None:
        """Forget what a crash can have lost, or had replaced, since the newest row was last seen."""
        early, late = self._ids <= self._settled, self._late_ids <= self._settled
        self._late_ids, self._late_words = self._late_ids[late], self._late_words[late]
        if not early.all():
            self._ids, self._words = self._ids[early], self._words[early]
            self._build()
        self._missing = {id_ for id_ in self._missing if id_ <= self._settled}
        self._highest, self._newest = self._settled, None

    def _added(self, session: Session) -> Iterator[tuple[int, bytes]]:
        """Numbers and hashes of the rows that may be new, by number: the newest, and as a rule few more."""
        start, missing = self._highest, self._missing
        if len(missing) > MOST_ASKED:
            start, missing = min(missing), set()
        query: Select[Any] = _FROM
        asked: dict[str, Any] = {"start": start, "most": READ_ROWS}
        if missing:
            query, asked["missing"] = _FROM_AND_MISSING, sorted(missing)
        while True:
            page = session.execute(query, asked).all()
            yield from ((row.id, row.pdq) for row in page)
            if len(page) < READ_ROWS:
                return
            query, asked = _FROM, {"start": page[-1].id + 1, "most": READ_ROWS}

    def add(self, ids: Ids, hashes: NDArray[np.uint8]) -> None:
        """Take rows in.

        Args:
            ids: their numbers, n of them.
            hashes: n x 32 bytes, in one row.
        """
        words = hashes.reshape(len(ids), HASH_BYTES).view(np.uint64)
        last = int(ids.argmax())
        if ids[last] > self._highest:
            self._highest, self._newest = int(ids[last]), words[last].tobytes()
        self._late_ids = np.concatenate([self._late_ids, ids])
        self._late_words = np.concatenate([self._late_words, words])
        if len(self._late_ids) > max(LATEST_ROWS, len(self._ids) // LATEST_PART):
            self._build()

    def _build(self) -> None:
        self._ids = np.concatenate([self._ids, self._late_ids])
        self._words = np.ascontiguousarray(np.concatenate([self._words, self._late_words]))
        self._late_ids, self._late_words = self._late_ids[:0], self._late_words[:0]
        parts = self._words.view(np.uint16)
        order = np.empty((PARTS, len(self._ids)), np.int32)
        for part in range(PARTS):
            order[part] = np.argsort(parts[:, part], kind="stable")
            counts = np.bincount(parts[:, part], minlength=KEYS)
            np.cumsum(counts, out=self._starts[part, 1:])
        self._order = order

    def search(self, queries: list[bytes], within: int) -> Hits:
        """Every stored hash that differs from a query in at most `within` bits."""
        if not 0 <= within <= HASH_BITS:
            raise ValueError(f"{within} bits of {HASH_BITS}")
        found = [
            self._near(number, np.frombuffer(query, np.uint64), within)
            for number, query in enumerate(queries)
        ]
        none: tuple[Ids, Ids, Ids] = (np.empty(0, np.int64),) * 3
        query, ids, distance = (np.concatenate(each) for each in zip(none, *found, strict=True))
        return Hits(query=query, ids=ids, distance=distance)

    def _near(self, number: int, query: Words, within: int) -> tuple[Ids, Ids, Ids]:
        places = self._candidates(query, within)
        words, ids = self._words, self._ids
        if places is not None:
            words, ids = words[places], ids[places]
        near, bits = _within(words, query, within)
        late, late_bits = _within(self._late_words, query, within)
        # The same row can share several parts with the query.
        found, first = np.unique(ids[near], return_index=True)
        found = np.concatenate([found, self._late_ids[late]])
        return np.full(len(found), number), found, np.concatenate([bits[first], late_bits])

    def _candidates(self, query: Words, within: int) -> NDArray[np.int32] | None:
        """Places of those that may be near; None: all of them, because it would be no fewer."""
        if within >= 2 * PARTS:  # a part may differ in two bits
            return None
        masks = np.array([0, *(1 << bit for bit in range(16))] if within >= PARTS else [0], np.uint16)
        keys = query.view(np.uint16)[:, None] ^ masks
        part = np.arange(PARTS)[:, None]
        starts, ends = self._starts[part, keys].ravel(), self._starts[part, keys.astype(np.int64) + 1].ravel()
        sizes = ends - starts
        total = int(sizes.sum())
        if total > len(self._ids):
            return None
        # All ranges as one list of places, each in the order of its own part.
        jumps = np.repeat(starts - np.cumsum(sizes) + sizes, sizes)
        columns = jumps + np.arange(total)
        parts = np.repeat(np.repeat(np.arange(PARTS), len(masks)), sizes)
        places: NDArray[np.int32] = self._order[parts, columns]
        return places


def _within(words: Words, query: Words, within: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of the words that are near the query, and how far they are."""
    bits = np.bitwise_count(words ^ query).sum(axis=1, dtype=np.int64)
    places = np.flatnonzero(bits <= within)
    return places, bits[places]
