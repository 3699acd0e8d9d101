"""Videos by content, and the names under which files were seen."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import CompoundSelect, Select, or_, select, union
from sqlalchemy.orm import Session

from core.outcomes import MediaKind
from storage.folding import folded
from storage.queue import names
from storage.tables import Sighting, Video

DIGITS = re.compile("[0-9a-f]{1,64}")  # of a SHA-256


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A file as a source lists it: the same four values mean the same file."""

    source: str
    name: str
    size_bytes: int
    mtime_ns: int


def add(
    session: Session, *, sha256: str, size_bytes: int, media_kind: MediaKind, object_key: str
) -> tuple[int, bool]:
    """The id of the video with this content, and whether it is new."""
    known = session.scalar(select(Video).where(Video.sha256 == sha256))
    if known is not None:
        if not known.object_key:  # its days were over, and here it is again
            known.object_key, known.original_erased_at = object_key, None
        return known.id, False
    video = Video(sha256=sha256, size_bytes=size_bytes, media_kind=media_kind, object_key=object_key)
    session.add(video)
    session.flush()
    return video.id, True


def sight(session: Session, seen: Seen, *, video_id: int) -> None:
    """Record that the video was seen under this name, clearing an earlier refusal."""
    row = _sighting(session, seen)
    row.video_id, row.error_code, row.error_message = video_id, None, None


def refuse(session: Session, seen: Seen, *, code: str, message: str) -> None:
    """Record a file that was refused, and why."""
    row = _sighting(session, seen)
    row.video_id, row.error_code, row.error_message = None, code, message


def _sighting(session: Session, seen: Seen) -> Sighting:
    row = session.scalar(
        select(Sighting).where(
            Sighting.source == seen.source,
            Sighting.name == seen.name,
            Sighting.size_bytes == seen.size_bytes,
            Sighting.mtime_ns == seen.mtime_ns,
        )
    )
    if row is None:
        row = Sighting(source=seen.source, name=seen.name, size_bytes=seen.size_bytes, mtime_ns=seen.mtime_ns)
        session.add(row)
    return row


def called(session: Session, key: str) -> Select[int | None] | CompoundSelect[int | None]:
    """A query for the ids of the videos whose SHA-256 begins with `key` or whose whole name it is."""
    name = folded(key)
    sightings = select(Sighting.video_id).where(Sighting.video_id.is_not(None))
    if len(name) >= names.SHORTEST:
        sightings = names.matching(session, name)  # by the trigram index, which does not match whole names
    sightings, digits = sightings.where(Sighting.name == key), key.lower()
    if not DIGITS.fullmatch(digits):
        return sightings
    # Not LIKE, which would use no index; "g" sorts after every hex digit.
    return union(sightings, select(Video.id).where(Video.sha256 >= digits, Video.sha256 < digits + "g"))


def seen_in(session: Session, source: str, *, but: str | None = None) -> Iterator[Seen]:
    """Everything ever seen in a source, so that a restart does not hash it again.

    Files refused with the error code `but` are left out.
    """
    statement = select(Sighting.name, Sighting.size_bytes, Sighting.mtime_ns).where(Sighting.source == source)
    if but is not None:
        statement = statement.where(or_(Sighting.error_code.is_(None), Sighting.error_code != but))
    rows = session.execute(statement)
    for name, size_bytes, mtime_ns in rows:
        yield Seen(source=source, name=name, size_bytes=size_bytes, mtime_ns=mtime_ns)


@dataclass(frozen=True, kw_only=True)
class Sighted:
    """What became of a file that was seen before."""

    seen: Seen
    video_id: int | None  # None where it was refused
    error_code: str | None  # of the refusal


def sighted(session: Session, source: str, names: Sequence[str]) -> list[Sighted]:
    """Every look at files of these names in a source, some thousand at most: by the index, whatever else was
    seen there."""
    rows = session.execute(
        select(
            Sighting.name, Sighting.size_bytes, Sighting.mtime_ns, Sighting.video_id, Sighting.error_code
        ).where(Sighting.source == source, Sighting.name.in_(names))
    )
    return [
        Sighted(
            seen=Seen(source=source, name=name, size_bytes=size_bytes, mtime_ns=mtime_ns),
            video_id=video_id,
            error_code=error_code,
        )
        for name, size_bytes, mtime_ns, video_id, error_code in rows
    ]


@dataclass(frozen=True, kw_only=True)
class Refusal:
    name: str
    code: str
    message: str


def refusals(session: Session, limit: int = 1000) -> list[Refusal]:
    """The files that never became videos, the newest first."""
    rows = session.execute(
        select(Sighting.name, Sighting.error_code, Sighting.error_message)
        .where(Sighting.error_code.is_not(None))
        .order_by(Sighting.id.desc())
        .limit(limit)
    )
    return [Refusal(name=name, code=code or "", message=message or "") for name, code, message in rows]
