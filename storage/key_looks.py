"""Keys of a bucket at which some ingest process should look, because an event named them.

A look is claimed for some minutes; if its process is killed, another has its turn afterwards. Looking twice
does no harm.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from storage.clock import after
from storage.tables import KeyLook


@dataclass(frozen=True, kw_only=True)
class Look:
    id: int
    key: str
    tries: int  # with this one


def add(session: Session, bucket: str, keys: Sequence[str]) -> None:
    session.add_all(KeyLook(bucket=bucket, key=quote(key), due_at=after(0)) for key in keys)


def claim(session: Session, bucket: str, *, most: int, seconds: float) -> list[Look]:
    """The next ones, for so long this process's alone."""
    due = (
        select(KeyLook.id)
        .where(KeyLook.bucket == bucket, KeyLook.due_at <= after(0))
        .order_by(KeyLook.due_at)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    rows = session.execute(
        update(KeyLook)
        .where(KeyLook.id.in_(due.scalar_subquery()))
        .values(due_at=after(seconds), tries=KeyLook.tries + 1)
        .returning(KeyLook.id, KeyLook.key, KeyLook.tries)
    )
    return [Look(id=id_, key=unquote(key), tries=tries) for id_, key, tries in rows]


def postpone(session: Session, looks: Sequence[Look], *, seconds: float) -> None:
    """Somebody looks again, not before so many seconds."""
    ids = [look.id for look in looks]
    session.execute(update(KeyLook).where(KeyLook.id.in_(ids)).values(due_at=after(seconds)))


def remove(session: Session, looks: Sequence[Look]) -> None:
    """They are done."""
    session.execute(delete(KeyLook).where(KeyLook.id.in_([look.id for look in looks])))


def waiting(session: Session, bucket: str) -> int:
    """How many there are, those that are being looked at among them."""
    return session.scalar(select(func.count()).select_from(KeyLook).where(KeyLook.bucket == bucket)) or 0
