"""Notices of a bucket's events, kept until an ingest process has looked at their keys."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from core import metrics
from core.s3_address import S3Address
from core.settings import Settings
from ingest.s3.names import is_wanted, key_name, source_of
from ingest.s3.notifications import Notice
from storage import audit, key_looks, videos


@dataclass(frozen=True, kw_only=True)
class Kept:
    """How many notices came to what."""

    looks: int  # an ingest process looks at so many keys
    removed: int  # noted; what was taken in stays
    ignored: int  # of other places, folders, names that are left alone


def keep(
    session: Session, settings: Settings, address: S3Address, found: Sequence[Notice], *, actor: str
) -> Kept:
    """Note what is to be looked at below the watched prefix, and what was removed there."""
    left_alone = settings.ingest.left_alone_names
    here = [
        notice
        for notice in found
        if notice.bucket == address.bucket and is_wanted(notice.key, address, left_alone)
    ]
    looks = list(dict.fromkeys(notice.key for notice in here if not notice.removed))
    removed = [notice.key for notice in here if notice.removed]
    key_looks.add(session, address.bucket, looks)
    _note_removed(session, address.bucket, removed, actor)
    kept = Kept(looks=len(looks), removed=len(removed), ignored=len(found) - len(here))
    for kind in ("looks", "removed", "ignored"):
        metrics.BUCKET_EVENTS.labels(kind=kind).inc(getattr(kept, kind))
    return kept


def _note_removed(session: Session, bucket: str, keys: list[str], actor: str) -> None:
    """In the audit log, for what has been taken in."""
    source = source_of(bucket)
    rows = videos.sighted(session, source, [key_name(key) for key in keys])
    for name in sorted({row.seen.name for row in rows}):
        audit.record(session, actor=actor, action="source.removed", subject=name, source=source)
