"""How long originals, pictures of faces and the evidence of live streams are kept.

The last word on a video decides how long. One whose time has come keeps its row, its verdict, scores and
decisions; what goes is the file itself, or the pictures of its faces (flagged frames, crops, overlays, the
poster). Legal hold keeps everything.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Engine, Select, and_, case, exists, func, or_, select
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.outcomes import NEEDS_LOOK, DecisionOutcome, DecisionState, ScreeningStatus
from core.retention import Keeping
from core.settings import RetentionSettings
from storage import audit, clock
from storage.engine import reading, transaction
from storage.erasure import discard, erase_faces, locked
from storage.objects.store import ObjectStore
from storage.streams import alerts
from storage.tables import Decision, EarlierAnswer, FlaggedFrame, Screening, Video, utc_now

log = structlog.get_logger()

PAGE = 200  # videos in a transaction, and in an entry of the audit log
UNDECIDED = (DecisionState.OPEN, DecisionState.SECOND_OPINION)
OUTCOMES = {
    Keeping.FAKE: DecisionOutcome.FAKE,
    Keeping.GENUINE: DecisionOutcome.GENUINE,
    Keeping.UNSURE: DecisionOutcome.UNSURE,
}


class Part(StrEnum):
    """What is erased when its time has come."""

    ORIGINALS = "originals"
    FACES = "faces"
    STREAMS = "streams"  # frames and clips of alerts


_Rule = tuple[Part, Keeping | None, int]  # and its days


@dataclass(frozen=True, kw_only=True)
class Due:
    """Videos, or alerts of live streams, of which a part has outlived its days."""

    part: Part
    keeping: Keeping | None  # None of alerts
    days: int
    count: int


@dataclass(frozen=True, kw_only=True)
class Purged(Due):
    objects: int
    bytes: int


def due(engine: Engine, settings: RetentionSettings) -> list[Due]:
    """What a purge would erase now."""
    found = []
    for part, keeping, days in _rules(settings):
        with reading(engine) as session:
            query = select(func.count()).select_from(_query(part, keeping, days).subquery())
            found.append(Due(part=part, keeping=keeping, days=days, count=session.scalar(query) or 0))
    return found


def purge(engine: Engine, objects: ObjectStore, settings: RetentionSettings) -> list[Purged]:
    """Erase what has outlived its days, page by page, each with an entry in the audit log."""
    done = []
    for part, keeping, days in _rules(settings):
        count, sizes = 0, list[int]()
        for erased, page in _pages(engine, objects, part, keeping, days):
            count, sizes = count + erased, sizes + page
        done.append(
            Purged(part=part, keeping=keeping, days=days, count=count, objects=len(sizes), bytes=sum(sizes))
        )
        if count:
            log.info("purged", part=part, keeping=keeping, count=count, objects=len(sizes))
    return done


def _rules(settings: RetentionSettings) -> Iterator[_Rule]:
    wanted: dict[Part, Mapping[Keeping, int]] = {
        Part.ORIGINALS: settings.originals,
        Part.FACES: settings.faces,
    }
    for part, by_keeping in wanted.items():
        for keeping in Keeping:
            if keeping in by_keeping:
                yield part, keeping, by_keeping[keeping]
    if settings.streams is not None:
        yield Part.STREAMS, None, settings.streams


def _pages(
    engine: Engine, objects: ObjectStore, part: Part, keeping: Keeping | None, days: int
) -> Iterator[tuple[int, list[int]]]:
    """Erase page by page; yields how many rows, and the sizes of the objects that went."""
    while True:
        began = objects.now()
        with transaction(engine) as session:
            found = session.scalars(_query(part, keeping, days).limit(PAGE)).all()
            tried = [(number, _erase(session, number, part)) for number in found]
            erased = {number: keys for number, keys in tried if keys is not None}
            if erased:
                audit.record(
                    session,
                    actor="retention",
                    action=f"retention.{part}",
                    subject=f"{len(erased)} {'alerts' if part is Part.STREAMS else 'videos'}",
                    keeping=keeping,
                    days=days,
                    **{"alerts" if part is Part.STREAMS else "videos": list(erased)},
                )
        if not found:
            return
        yield len(erased), discard(engine, objects, chain(*erased.values()), older_than=began)


def _erase(session: Session, number: int, part: Part) -> list[str] | None:
    """The keys of its objects; None of a video that was erased or put under hold since it was found."""
    if part is Part.STREAMS:
        return alerts.erase_evidence(session, number)
    try:
        video = locked(session, number)
    except NotFound:
        return None
    if video.hold is not None:
        return None
    if part is Part.FACES:
        video.faces_erased_at = utc_now()
        return erase_faces(session, number)
    key, video.object_key, video.original_erased_at = video.object_key, "", utc_now()
    return [key]


def _query(part: Part, keeping: Keeping | None, days: int) -> Select[int]:
    """The ids, in their order, of the videos or alerts of which this part has outlived its days."""
    return alerts.outlived(days) if keeping is None else _videos(part, keeping, days)


def _videos(part: Part, keeping: Keeping, days: int) -> Select[int]:
    there = (
        Video.object_key != ""
        if part is Part.ORIGINALS
        else or_(
            exists().where(FlaggedFrame.screening_id == Screening.id, Screening.video_id == Video.id),
            exists().where(Screening.poster_key.is_not(None), Screening.video_id == Video.id),
        )
    )
    matches, since = _kept_as(keeping)
    old: Any = since < clock.after(-days * clock.DAY_SECONDS)
    query = select(Video.id).where(Video.hold.is_(None), there, old).order_by(Video.id)
    return query.where(exists().where(Screening.video_id == Video.id, Screening.latest, matches))


def _kept_as(keeping: Keeping) -> tuple[ColumnElement[bool], ColumnElement[Any]]:
    """A condition on the screening that represents a video, and since when it has held."""
    if keeping in OUTCOMES:
        last = (
            select(Decision.outcome)
            .where(Decision.video_id == Video.id)
            .order_by(Decision.id.desc())
            .limit(1)
            .correlate(Video)
            .scalar_subquery()
        )
        at: Any = select(func.max(Decision.created_at)).where(Decision.video_id == Video.id)
        decided = and_(Screening.decision_state == DecisionState.DECIDED, last == OUTCOMES[keeping])
        return decided, at.correlate(Video).scalar_subquery()
    ended, replaced = (
        each.where(Screening.video_id == Video.id).correlate(Video).scalar_subquery()
        for each in (
            select(func.max(Screening.finished_at)),
            select(func.max(EarlierAnswer.replaced_at)).join(Screening),
        )
    )
    since: Any = case((replaced > ended, replaced), else_=ended)
    undecided = Screening.decision_state.in_(UNDECIDED)
    looked_at = Screening.verdict.in_(NEEDS_LOOK)
    states: dict[Keeping, ColumnElement[bool]] = {
        Keeping.FAILED: Screening.status == ScreeningStatus.FAILED,
        Keeping.FLAGGED: and_(Screening.status == ScreeningStatus.DONE, looked_at),
        Keeping.CLEAR: and_(Screening.status == ScreeningStatus.DONE, ~looked_at),
    }
    return and_(undecided, states[keeping]), since
