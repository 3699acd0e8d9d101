"""Finds videos by part of a name, ignoring case, among millions of names.

It uses a trigram index: FTS5 in SQLite, pg_trgm in PostgreSQL. A database with neither still answers, but has
to read every name (0.1 to 1 s per million names); the migration logs that.
"""

from sqlalchemy import ColumnElement, Integer, Select, column, exists, func, select, table
from sqlalchemy.orm import Session

from core.errors import InvalidQuery
from storage.folding import folded
from storage.tables import Screening, Sighting

SHORTEST = 3  # characters: a trigram index needs three, and fewer would match half of all names
LONGEST = 200  # characters

# SQLite's index. The migration creates it and triggers maintain it; it is not in our metadata.
SEARCH_TABLE = "sighting_search"


def checked(text: str) -> str:
    """The folded search text. Raises InvalidQuery if it is too short or too long."""
    sought = folded(text).strip()
    if not SHORTEST <= len(sought) <= LONGEST or "\0" in sought:
        reason = f"a search needs {SHORTEST} to {LONGEST} characters"
        raise InvalidQuery(parameter="text", reason=reason)
    return sought


def few(session: Session, sought: str, *, limit: int) -> bool:
    """Whether at most `limit` names contain it, counted in the index only and no further."""
    index = _index(session, sought)
    found = select(Sighting.id).where(_contains(sought)) if index is None else index
    return (session.scalar(select(func.count()).select_from(found.limit(limit + 1).subquery())) or 0) <= limit


def matching(session: Session, sought: str) -> Select[int | None]:
    """A query for the ids of videos with a name containing `sought`; ids may repeat."""
    query = select(Sighting.video_id).where(Sighting.video_id.is_not(None))
    index = _index(session, sought)
    return query.where(_contains(sought) if index is None else Sighting.id.in_(index))


def _index(session: Session, sought: str) -> Select[int] | None:
    """A query for the sightings found by SQLite's index; None if there is no index."""
    if session.get_bind().dialect.name != "sqlite" or not _has_search_table(session):
        return None
    index = table(SEARCH_TABLE, column("rowid", Integer), column("folded_name"))
    phrase = '"' + sought.replace('"', '""') + '"'
    return select(index.c.rowid).where(index.c.folded_name.op("MATCH")(phrase))


def has_name_with(sought: str) -> ColumnElement[bool]:
    """Whether a screening's video has such a name, as a condition for walking another index."""
    return exists().where(Sighting.video_id == Screening.video_id, _contains(sought))


def _contains(sought: str) -> ColumnElement[bool]:
    return Sighting.folded_name.contains(sought, autoescape=True)


def _has_search_table(session: Session) -> bool:
    master = table("sqlite_master", column("name"))
    return session.scalar(select(exists().where(master.c.name == SEARCH_TABLE))) is True
