"""What a video looks like, as it is shown: the other video or list, and what was decided there."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from core.known import KnownContent, KnownDecision
from storage import values
from storage.people.decisions import ANSWERS
from storage.tables import Account, Decision, FrameHashRow, KnownList, KnownMatch, Sighting, Video


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """How alike two videos are, seen from one of them."""

    distance: int
    share: float
    other_share: float
    mirrored: bool


def of_videos(session: Session, video_ids: Collection[int]) -> dict[int, list[KnownContent]]:
    """What looks like each video: decided videos first, then lists, then others, each by likeness."""
    query = select(KnownMatch).where(
        or_(KnownMatch.video_id.in_(video_ids), KnownMatch.other_video_id.in_(video_ids))
    )
    rows = session.scalars(query.order_by(KnownMatch.id)).all()
    pairs: dict[tuple[int, int], _Measured] = {}
    for row in rows:  # those that the other one found
        if row.other_video_id is not None and row.other_video_id in video_ids:
            turned = replace(_measured(row), share=row.other_share, other_share=row.share)
            pairs[row.other_video_id, row.video_id] = turned
    for row in rows:  # Both may have found each other: what this one found counts.
        if row.video_id in video_ids and row.other_video_id is not None:
            pairs[row.video_id, row.other_video_id] = _measured(row)
    others = list({other for _, other in pairs})
    decided, names = _decisions(session, others), _names(session, others)
    found = _entries(session, [row for row in rows if row.list_hash_id is not None])
    for (one, other), measured in pairs.items():
        known = KnownContent(
            video_id=other, name=names[other], list_name=None, decision=decided.get(other), **vars(measured)
        )
        found[one].append(known)
    return {one: sorted(each, key=_rank) for one, each in found.items()}


def _measured(row: KnownMatch) -> _Measured:
    return values.of_row(_Measured, row)


def _rank(one: KnownContent) -> tuple[int, float, int]:
    kind = 0 if one.decision is not None else 1 if one.list_name is not None else 2
    return kind, -max(one.share, one.other_share), one.distance


def _decisions(session: Session, video_ids: Sequence[int]) -> dict[int, KnownDecision]:
    """The last answer on each video."""
    query = (
        select(Decision.video_id, Decision.outcome, Decision.created_at, Account.name)
        .join(Account, Account.id == Decision.account_id)
        .where(Decision.video_id.in_(video_ids), Decision.outcome.in_(ANSWERS))
        .order_by(Decision.id)
    )
    return {
        row.video_id: KnownDecision(outcome=row.outcome, account=row.name, created_at=row.created_at)
        for row in session.execute(query)
    }


def _names(session: Session, video_ids: Sequence[int]) -> dict[int, str]:
    """The name under which each was last seen, or its SHA-256."""
    last = select(func.max(Sighting.id)).where(Sighting.video_id.in_(video_ids)).group_by(Sighting.video_id)
    named = select(Sighting.video_id, Sighting.name).where(Sighting.id.in_(last))
    hashes = select(Video.id, Video.sha256).where(Video.id.in_(video_ids))
    found = {row.id: row.sha256 for row in session.execute(hashes)}
    return found | {row.video_id: row.name for row in session.execute(named)}


def _entries(session: Session, rows: Sequence[KnownMatch]) -> defaultdict[int, list[KnownContent]]:
    """The entries of lists that each video looks like."""
    found: defaultdict[int, list[KnownContent]] = defaultdict(list)
    query = (
        select(FrameHashRow.id, FrameHashRow.label, KnownList.name)
        .join(KnownList, KnownList.id == FrameHashRow.list_id)
        .where(FrameHashRow.id.in_([row.list_hash_id for row in rows]))
    )
    named = {row.id: row for row in session.execute(query)}
    for row in rows:
        entry = named.get(row.list_hash_id)
        if entry is not None:
            known = KnownContent(
                video_id=None,
                name=entry.label or "",
                list_name=entry.name,
                decision=None,
                **vars(_measured(row)),
            )
            found[row.video_id].append(known)
    return found
