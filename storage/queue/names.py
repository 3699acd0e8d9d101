"""Finding videos by a part of a name, upper and lower case alike, in millions of names.

An index of trigrams answers: SQLite's FTS5, PostgreSQL's pg_trgm. A database that has neither still answers,
but reads every name for it (0.1 to 1 s per million names); the migration says so in the log.
"""

from sqlalchemy import ColumnElement, Integer, Select, column, exists, func, select, table
from sqlalchemy.orm import Session

from core.errors import InvalidQuery
from storage.folding import folded
from storage.tables import Screening, Sighting

SHORTEST = 3  # characters: a trigram index cannot find less, and less finds half of all names
LONGEST = 200  # characters

# SQLite's index. It is made by the migration and kept by triggers, and is no table of ours.
SEARCH_TABLE = "sighting_search"


def checked(text: str) -> str:
    """The folded search text. Raises InvalidQuery where it is too short or too long."""
    sought = folded(text).strip()
    if not SHORTEST <= len(sought) <= LONGEST or "\0" in sought:
        reason = f"a search needs {SHORTEST} to {LONGEST} characters"
        raise InvalidQuery(parameter="text", reason=reason)
    return sought


def few(session: Session, sought: str, *, limit: int) -> bool:
    """Whether at most `limit` names contain it: counted in the index alone, and no further than that."""
    index = _index(session, sought)
    found = select(Sighting.id).where(_contains(sought)) if index is None else index
    return (session.scalar(select(func.count()).select_from(found.limit(limit + 1).subquery())) or 0) <= limit


def matching(session: Session, sought: str) -> Select[int | None]:
    """A query for the ids of the videos of which a name contains `sought`; an id may come twice."""
    query = select(Sighting.video_id).where(Sighting.video_id.is_not(None))
    index = _index(session, sought)
    return query.where(_contains(sought) if index is None else Sighting.id.in_(index))


def _index(session: Session, sought: str) -> Select[int] | None:
    """A query for the sightings that SQLite's index finds; None where it has none."""
    if session.get_bind().dialect.name != "sqlite" or not _has_search_table(session):
        return None
    index = table(SEARCH_TABLE, column("rowid", Integer), column("folded_name"))
    phrase = '"' + sought.replace('"', '""') + '"'
    return select(index.c.rowid).where(index.c.folded_name.op("MATCH")(phrase))


def has_name_with(sought: str) -> ColumnElement[bool]:
    """Whether the video of a screening has such a name: for walking along another order."""
    return exists().where(Sighting.video_id == Screening.video_id, _contains(sought))


def _contains(sought: str) -> ColumnElement[bool]:
    return Sighting.folded_name.contains(sought, autoescape=True)


def _has_search_table(session: Session) -> bool:
    master = table("sqlite_master", column("name"))
    return session.scalar(select(exists().where(master.c.name == SEARCH_TABLE))) is True
