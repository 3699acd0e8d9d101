"""How far the listing of a source has come: it goes on from there, whichever process ended in the middle.

Keys are kept URL-encoded, since they may hold what no database takes as text.
"""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, unquote

from sqlalchemy.orm import Session

from core.s3_address import S3Address
from storage.tables import SourceCursor, utc_now


@dataclass(frozen=True, kw_only=True)
class Cursor:
    after: str  # the last key that has been dealt with; empty at the beginning
    listed: int  # keys that have been dealt with
    began_at: datetime  # the round
    ended_at: datetime | None  # None while there is more


def watching(address: S3Address) -> str:
    """The name of the cursor with which a place is watched."""
    return f"watch {address}"


def find(session: Session, name: str) -> Cursor | None:
    row = session.get(SourceCursor, name)
    return None if row is None else _cursor(row)


def open_round(session: Session, name: str, *, resume: bool) -> Cursor:
    """Where to go on: where the last round of this name stopped, if it did not end and `resume` is set, or at
    the beginning."""
    row = session.get(SourceCursor, name)
    if row is None:
        row = SourceCursor(name=name, after="", listed=0, began_at=utc_now())
        session.add(row)
    elif row.ended_at is not None or not resume:
        row.after, row.listed, row.began_at, row.ended_at = "", 0, utc_now(), None
    return _cursor(row)


def move(session: Session, name: str, cursor: Cursor) -> None:
    """Record that everything up to the cursor has been dealt with."""
    row = session.get_one(SourceCursor, name)
    row.after, row.listed, row.ended_at = quote(cursor.after), cursor.listed, cursor.ended_at


def _cursor(row: SourceCursor) -> Cursor:
    return Cursor(after=unquote(row.after), listed=row.listed, began_at=row.began_at, ended_at=row.ended_at)
