"""The life of a screening: requested, leased to a worker (storage.leases), completed, failed or released."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, exists, or_, select, update
from sqlalchemy.orm import Session, aliased

from core import traces
from core.errors import AttemptsExhausted, Cancelled, Conflict, FacewardenError, NotFound
from core.outcomes import UNFINISHED, DecisionState, Replaced, ScreeningStatus
from core.priorities import Priority
from storage import audit, clock, earlier_answers, leases
from storage.leases import Leases, Ticket, ticket_of
from storage.rows import last_of, table_of
from storage.tables import Screening, Sighting, Video, utc_now
from storage.webhooks import outbox

ANSWERS: dict[str, Any] = {
    "verdict": None,
    "score": None,
    "raw_score": None,
    "coverage": None,
    "partial": False,
    "longest_unseen_seconds": None,
    "looks": None,
    "policy": None,
    "mostly_damaged": None,
    "error_code": None,
    "error_message": None,
    "finished_at": None,
}


@dataclass(frozen=True, kw_only=True)
class Claim(leases.Claim):
    """A screening that a worker holds; `name` is the name under which the video was last seen."""

    object_key: str
    video_id: int


class _Screenings(Leases[Screening, Claim]):
    table = Screening
    noun = "screening"
    waiting = ScreeningStatus.QUEUED
    working = ScreeningStatus.SCREENING

    @property
    def told(self) -> tuple[ColumnElement[Any], ...]:
        screening, video, sighting = (table_of(each).c for each in (Screening, Video, Sighting))
        of = screening.video_id
        return (
            of,
            screening.model_version_id,
            screening.priority,
            screening.traceparent,
            last_of(video.object_key, where=video.id, equals=of).label("object_key"),
            last_of(video.sha256, where=video.id, equals=of).label("sha256"),
            last_of(sighting.name, where=sighting.video_id, equals=of).label("name"),
        )

    def describe(self, session: Session, row: Any, ticket: Ticket, owner: str) -> Claim:
        del session
        return Claim(
            ticket=replace(ticket, priority=Priority(row.priority)),
            owner=owner,
            name=row.name or row.sha256,
            model_version_id=row.model_version_id,
            traceparent=row.traceparent,
            object_key=row.object_key,
            video_id=row.video_id,
        )

    def begun(self, now: datetime | ColumnElement[datetime]) -> dict[str, Any]:
        return {"started_at": now}

    def empty(self, session: Session, row: Screening) -> None:
        earlier_answers.keep(session, row, Replaced.SCREENED_AGAIN)
        row.started_at = None
        row.queued_at = utc_now()
        for name, value in ANSWERS.items():
            setattr(row, name, value)

    def failure(self, error: FacewardenError) -> dict[str, Any]:
        return {
            "status": ScreeningStatus.FAILED,
            "error_code": error.code,
            "error_message": str(error),
            "finished_at": utc_now(),
        }

    def fail(self, session: Session, claimed: Claim, error: FacewardenError) -> None:
        super().fail(session, claimed, error)
        audit.record(
            session, actor=claimed.owner, action="screening.failed", subject=claimed.name, code=error.code
        )
        outbox.failed(session, claimed.ticket.row_id)

    def give_up(self, session: Session, row: Screening, *, name: str, reason: str) -> None:
        error = AttemptsExhausted(name=name, attempts=row.failures, reason=reason)
        for column, value in self.failure(error).items():
            setattr(row, column, value)
        audit.record(session, actor="facewarden", action="screening.failed", subject=name, code=error.code)
        outbox.failed(session, row.id)


LEASES = _Screenings()


def request(
    session: Session,
    *,
    video_id: int,
    model_version_id: str,
    priority: Priority = Priority.NORMAL,
    again: bool = False,
) -> Ticket | None:
    """Ask for a screening.

    Returns the ticket to enqueue, or None if the video is already screened or queued; `again` starts a new
    attempt regardless, and so does asking for one that was cancelled.
    """
    row = _of(session, video_id, model_version_id)
    if row is None:
        row = Screening(
            video_id=video_id,
            model_version_id=model_version_id,
            priority=priority,
            traceparent=traces.current(),
            **_of_the_video(session, video_id),
        )
        session.add(row)
        session.flush()
        return ticket_of(row)
    if not again and row.error_code != Cancelled.code:
        return None
    row.priority, row.traceparent = priority, traces.current()
    return LEASES.ask_again(session, row)


class Standing(StrEnum):
    """How far a model version is with a video, for who would ask it to look at many."""

    NEW = "new"  # it has never been asked
    WAITING = "waiting"  # it has been asked, and no worker has ended it
    DONE = "done"  # it has a verdict
    FAILED = "failed"
    ERASED = "erased"  # the file is there no longer


def standings(session: Session, video_ids: Sequence[int], model_version_id: str) -> dict[int, Standing]:
    """Of each of these videos that is still known."""
    of_it = (Screening.video_id == Video.id) & (Screening.model_version_id == model_version_id)
    rows = session.execute(
        select(Video.id, Video.object_key, Screening.status)
        .outerjoin(Screening, of_it)
        .where(Video.id.in_(video_ids))
    )
    known: dict[str | None, Standing] = {
        None: Standing.NEW,
        LEASES.waiting: Standing.WAITING,
        LEASES.working: Standing.WAITING,
        ScreeningStatus.DONE: Standing.DONE,
        ScreeningStatus.FAILED: Standing.FAILED,
    }
    return {number: known[status] if key else Standing.ERASED for number, key, status in rows}


def hurry(session: Session, *, video_id: int, model_version_id: str, priority: Priority) -> Ticket | None:
    """Let a screening that waits go on with a higher priority; None if it does not wait, or not that low.

    The ticket is of a new attempt: the job of the old one finds nothing to do in its queue.
    """
    row = _of(session, video_id, model_version_id, lock=True)
    if row is None or row.status != ScreeningStatus.QUEUED or not priority.before(Priority(row.priority)):
        return None
    row.priority = priority
    return LEASES.next_attempt(session, row)


def cancel(session: Session, video_id: int, *, actor: str) -> None:
    """End the screenings of a video that wait or run; a worker notices when it renews its lease.

    Cancelling twice is cancelling once. Raises NotFound, and Conflict where all have ended otherwise.
    """
    rows = session.scalars(
        select(Screening).where(Screening.video_id == video_id).order_by(Screening.id).with_for_update()
    ).all()
    if not rows:
        raise NotFound(what="Video", key=video_id)
    name = _name(session, video_id)
    going_on = [each for each in rows if each.status in UNFINISHED]
    if not going_on and Cancelled.code not in {each.error_code for each in rows}:
        raise Conflict(what="The screening of", key=name, reason="it has ended; there is nothing to cancel")
    for row in going_on:
        _cancel(row, Cancelled(name=name, actor=actor))
        audit.record(session, actor=actor, action="screening.cancelled", subject=name, screening=row.id)
        outbox.failed(session, row.id)


def hand_over(session: Session, before: str, after: str, *, actor: str) -> tuple[int, int]:
    """Let one model version screen what another one has been asked for and has not ended.

    Returns how many screenings were moved to it, and how many were cancelled: those of videos that it was
    asked for as well, and those whose earlier answer is the other version's, which gets a row of its own
    beside it. A worker that has one of them finds its attempt gone. No receiver of webhooks is told: the
    videos' answers are to come, or are there.
    """
    going_on = (Screening.model_version_id == before) & Screening.status.in_(UNFINISHED)
    other = aliased(Screening)
    asked = exists().where(other.video_id == Screening.video_id, other.model_version_id == after)
    moved = session.scalars(
        update(Screening)
        .where(going_on, Screening.revision == 0, ~asked)
        .values(
            model_version_id=after,
            status=LEASES.waiting,
            attempt=Screening.attempt + 1,
            failures=0,
            queued_at=utc_now(),
            started_at=None,
            **leases.FREE,
        )
        .returning(Screening.id)
        .execution_options(synchronize_session=False)
    ).all()
    left = session.scalars(select(Screening).where(going_on).order_by(Screening.id).with_for_update()).all()
    for row in left:
        request(session, video_id=row.video_id, model_version_id=after, priority=Priority(row.priority))
        _cancel(row, Cancelled(name=_name(session, row.video_id), actor=actor))
        heir = _of(session, row.video_id, after)
        if row.latest and heir is not None:
            supersede(session, heir.id)
    return len(moved), len(left)


def _cancel(row: Screening, error: Cancelled) -> None:
    for column, value in {**LEASES.failure(error), **leases.FREE}.items():
        setattr(row, column, value)


def _name(session: Session, video_id: int) -> str:
    """The name under which the video was last seen, else its hash."""
    last = select(Sighting.name).where(Sighting.video_id == video_id).order_by(Sighting.id.desc()).limit(1)
    found = session.scalar(last) or session.scalar(select(Video.sha256).where(Video.id == video_id))
    return found or str(video_id)


def _of(session: Session, video_id: int, model_version_id: str, *, lock: bool = False) -> Screening | None:
    query = select(Screening).where(
        Screening.video_id == video_id, Screening.model_version_id == model_version_id
    )
    return session.scalar(query.with_for_update() if lock else query)


def _of_the_video(session: Session, video_id: int) -> dict[str, Any]:
    """The columns that a new screening copies from its video."""
    other = session.scalar(select(Screening).where(Screening.video_id == video_id).limit(1))
    first = select(Sighting.source).where(Sighting.video_id == video_id).order_by(Sighting.id).limit(1)
    return {
        "latest": other is None,  # otherwise once it is done: a video screened again stays in the queue
        "added_at": session.scalar(select(Video.created_at).where(Video.id == video_id)),
        "source": session.scalar(first) or "",
        "decision_state": DecisionState.OPEN if other is None else other.decision_state,
    }


def supersede(session: Session, screening_id: int) -> None:
    """Make this screening, now done, the one that represents its video in the queue."""
    video = select(Screening.video_id).where(Screening.id == screening_id).scalar_subquery()
    session.execute(
        update(Screening)
        .where(Screening.video_id == video, Screening.latest != (Screening.id == screening_id))
        .values(latest=Screening.id == screening_id)
        .execution_options(synchronize_session=False)
    )


def refuse(session: Session, ticket: Ticket, error: FacewardenError) -> None:
    """Fail a screening without a worker, because its input is at fault."""
    session.execute(
        update(Screening).where(Screening.id == ticket.row_id).values(**LEASES.failure(error), **leases.FREE)
    )
    outbox.failed(session, ticket.row_id)


def stuck(session: Session, now: datetime | None = None) -> list[int]:
    """Screenings whose lease has expired and that nobody has taken back."""
    return list(
        session.scalars(
            select(Screening.id).where(
                Screening.status == ScreeningStatus.SCREENING,
                or_(Screening.lease_expires_at < clock.after(0, now), Screening.lease_expires_at.is_(None)),
            )
        )
    )
