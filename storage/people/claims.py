"""Who reviews what: a claim is a lease on a video, so that two reviewers never work on the same one."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CursorResult, delete, exists, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core.errors import HeldByAnother, NotFound
from storage import audit
from storage.clock import Moment, database_now
from storage.queue import listing, plan
from storage.queue.filters import Filters, Position
from storage.queue.plan import Found
from storage.tables import Account, Decision, ReviewClaim, ReviewSkip, Screening, Video

TRIED = 20  # videos tried at a time; more reviewers hardly ever ask at the same moment


def claim(session: Session, *, video_id: int, account_id: int, minutes: float) -> datetime:
    """Claim the video, or extend the claim; returns when it expires.

    Raises NotFound if there is no such video, HeldByAnother if another reviewer has it.
    """
    if session.scalar(select(Video.id).where(Video.id == video_id)) is None:
        raise NotFound(what="Video", key=video_id)
    expires_at = _take(session, video_id, account_id, minutes)
    if expires_at is None:
        holder = listing.claims(session, [video_id]).get(video_id)
        until = "just now" if holder is None else holder.expires_at.isoformat(timespec="seconds")
        raise HeldByAnother(what="Video", key=video_id, until=until)
    return expires_at


def claim_next(session: Session, *, account_id: int, filters: Filters, minutes: float) -> int | None:
    """Claim the first free video of the queue; returns its id, or None if there is none.

    Videos that the account has skipped or already decided are left out.
    """
    after: Position | None = None
    while found := _free(session, account_id, filters, after):
        for row in found:
            if _take(session, row.video_id, account_id, minutes) is not None:
                return row.video_id
        after = found[-1].position(filters)
    return None


def _free(session: Session, account_id: int, filters: Filters, after: Position | None) -> Sequence[Found]:
    held = exists().where(
        ReviewClaim.video_id == Screening.video_id,
        ReviewClaim.account_id != account_id,
        ReviewClaim.expires_at > Moment(),
    )
    skipped = exists().where(ReviewSkip.video_id == Screening.video_id, ReviewSkip.account_id == account_id)
    answered = exists().where(Decision.video_id == Screening.video_id, Decision.account_id == account_id)
    return plan.find(session, filters, limit=TRIED, after=after, extra_filters=[~held, ~skipped, ~answered])


def _take(session: Session, video_id: int, account_id: int, minutes: float) -> datetime | None:
    """A single statement, so that exactly one of several claimants succeeds."""
    now = database_now(session)
    values = {"account_id": account_id, "claimed_at": now, "expires_at": now + timedelta(minutes=minutes)}
    insert: Any = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    statement = (
        insert(ReviewClaim)
        .values(video_id=video_id, **values)
        .on_conflict_do_update(
            index_elements=[ReviewClaim.video_id],
            set_=values,
            where=or_(ReviewClaim.account_id == account_id, ReviewClaim.expires_at <= now),
        )
    )
    # Not the row count: not all drivers report it for an upsert.
    if session.scalar(statement.returning(ReviewClaim.video_id)) is None:
        return None
    _record(session, "video.claimed", video_id, account_id)
    return now + timedelta(minutes=minutes)


def release(session: Session, *, video_id: int, account_id: int) -> bool:
    """Release the video; False if the account did not have it."""
    statement = delete(ReviewClaim).where(
        ReviewClaim.video_id == video_id, ReviewClaim.account_id == account_id
    )
    result = session.execute(statement)
    released = isinstance(result, CursorResult) and result.rowcount == 1
    if released:
        _record(session, "video.released", video_id, account_id)
    return released


def skip(session: Session, *, video_id: int, account_id: int) -> None:
    """Release the video and do not offer it to the account again. Raises NotFound."""
    if session.scalar(select(Video.id).where(Video.id == video_id)) is None:
        raise NotFound(what="Video", key=video_id)
    release(session, video_id=video_id, account_id=account_id)
    if session.get(ReviewSkip, (account_id, video_id)) is None:
        session.add(ReviewSkip(account_id=account_id, video_id=video_id))
        _record(session, "video.skipped", video_id, account_id)


def _record(session: Session, action: str, video_id: int, account_id: int) -> None:
    actor = session.scalar(select(Account.name).where(Account.id == account_id)) or str(account_id)
    sha256 = session.scalar(select(Video.sha256).where(Video.id == video_id)) or str(video_id)
    audit.record(session, actor=actor, action=action, subject=sha256)
