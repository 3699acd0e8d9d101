"""A worker's lease on a row: claimed, renewed, held, released, taken back.

Every write by a worker is one conditional UPDATE on (id, attempt, owner, status). The attempt is a fencing
token: taking a row back, or requesting it again, raises it, so that a slower worker's write matches no row.
Leases are timed by the database's clock alone: the workers' clocks may differ.

Claims and renewals do not wait for the disk (storage.durability). A crash of the database may undo them: the
row waits again under the same attempt, and another worker may claim it. The one before is out all the same:
its owner no longer stands in the row, and each process is an owner of its own with one job at a time. A
stored verdict waited for the disk with all that was committed before it, its claim too, so no finished row
comes back as one that waits.

The attempt says nothing about the row itself: failures that it may have caused are counted separately, as
`failures`, starting from zero whenever the row is requested again.

    Leases
    |-- storage.screenings      videos to be screened
    `-- storage.explanations    flagged frames to be explained
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import ColumnElement, CursorResult, Float, Update, bindparam, inspect, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningUpdate

from core.errors import FacewardenError, StaleAttempt
from core.priorities import Priority
from storage import clock
from storage.durability import Unhurried
from storage.rows import table_of
from storage.tables import FlaggedFrame, Screening

FREE: dict[str, Any] = {"lease_owner": None, "lease_expires_at": None}


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """The right to work on one attempt at one row."""

    row_id: int
    attempt: int
    priority: Priority = field(default=Priority.NORMAL, compare=False)  # of the queue that it belongs in


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A ticket that a worker holds."""

    ticket: Ticket
    owner: str
    name: str  # what messages call the work
    model_version_id: str  # the model that has to do it
    traceparent: str | None  # of the trace that it belongs to


Row = TypeVar("Row", Screening, FlaggedFrame)
Claimed = TypeVar("Claimed", bound=Claim)


class Leases(ABC, Generic[Row, Claimed]):
    """Leases on the rows of one table."""

    table: type[Row]
    noun: ClassVar[str]  # what messages call a row
    waiting: ClassVar[str]  # status of a row that waits for a worker
    working: ClassVar[str]  # status of a row that a worker holds

    @abstractmethod
    def describe(self, session: Session, row: Any, ticket: Ticket, owner: str) -> Claimed:
        """The claim on a row that was just taken, with what its worker needs to begin.

        `row`: its `told` columns.
        """

    @property
    def told(self) -> tuple[ColumnElement[Any], ...]:
        """What `describe` wants to know of a row that was just taken, in the same statement."""
        return (self.column("id"),)

    @abstractmethod
    def failure(self, error: FacewardenError) -> dict[str, Any]:
        """The columns, other than the lease, of a row that failed with `error`."""

    @abstractmethod
    def give_up(self, session: Session, row: Row, *, name: str, reason: str) -> None:
        """Fail a row whose attempts are used up; its lease is already cleared."""

    @abstractmethod
    def empty(self, session: Session, row: Row) -> None:
        """Clear what an earlier attempt left in a row."""

    def begun(self, now: datetime | ColumnElement[datetime]) -> dict[str, Any]:
        """More columns to set on a row that was just taken."""
        del now
        return {}

    def queued(self, session: Session) -> list[Ticket]:
        """What is waiting according to SQL, whatever Redis says; the oldest first."""
        rows = session.execute(
            select(self.table.id, self.table.attempt, self.table.priority)
            .where(self.table.status == self.waiting, self.table.lease_owner.is_(None))
            .order_by(self.table.id)
        )
        return [
            Ticket(row_id=row_id, attempt=attempt, priority=Priority(priority))
            for row_id, attempt, priority in rows
        ]

    def claim(
        self,
        session: Session,
        ticket: Ticket,
        *,
        owner: str,
        lease_seconds: float,
        now: datetime | None = None,
    ) -> Claimed | None:
        """Claim the row; None if it is held by another worker, finished, gone, or at a newer attempt."""
        asked = {"held_id": ticket.row_id, "held_attempt": ticket.attempt, "new_owner": owner}
        if now is None:
            statement, asked["lease_seconds"] = self._claiming, lease_seconds
        else:
            statement = self._claim(clock.after(lease_seconds, now), now)
        row = session.execute(statement, asked).first()
        return None if row is None else self.describe(session, row, ticket, owner)

    def renew(
        self, session: Session, claimed: Claimed, *, lease_seconds: float, now: datetime | None = None
    ) -> bool:
        """Extend the lease; False if it was lost."""
        statement = self.held.where(Unhurried()).values(lease_expires_at=clock.after(lease_seconds, now))
        return session.execute(statement, _held_by(claimed)).first() is not None

    def hold(self, session: Session, claimed: Claimed, values: dict[str, Any], statement: Any = None) -> Any:
        """Write `values` to the row if the claim still holds, and lock it until the transaction ends.

        `statement`: `held` with more columns to return; they are returned as a row.

        Raises StaleAttempt otherwise; the caller must then roll its transaction back.
        """
        # Even without other values this is an UPDATE, and locks the row.
        written = {"lease_owner": claimed.owner, **values, **_held_by(claimed)}
        row = session.execute(self.held if statement is None else statement, written).first()
        if row is None:
            raise StaleAttempt(work=f"{self.noun} {claimed.ticket.row_id}", attempt=claimed.ticket.attempt)
        return row

    def fail(self, session: Session, claimed: Claimed, error: FacewardenError) -> None:
        """Fail the row with a reason. Raises StaleAttempt if the claim was lost."""
        self.hold(session, claimed, {**self.failure(error), **FREE})

    def release(
        self, session: Session, claimed: Claimed, *, reason: str, max_attempts: int, counts: bool = True
    ) -> Ticket | None:
        """Give back an attempt that did not succeed.

        It `counts` as a failure if the row may be to blame, and does not if the installation is. Returns the
        next attempt's ticket, or None if the attempts are used up (the row has then failed) or the claim was
        lost.
        """
        row = session.get(self.table, claimed.ticket.row_id, with_for_update=True)
        if row is None or row.attempt != claimed.ticket.attempt or row.lease_owner != claimed.owner:
            return None
        if not counts:
            return self.next_attempt(session, row)
        return self._fault(session, row, name=claimed.name, reason=reason, max_attempts=max_attempts)

    def take_back_expired(
        self, session: Session, *, max_attempts: int, now: datetime | None = None
    ) -> list[Ticket]:
        """Take rows back from workers that went silent; returns the tickets to enqueue."""
        rows = session.scalars(
            select(self.table)
            .where(self.table.status == self.working, self.table.lease_expires_at < clock.after(0, now))
            .with_for_update(skip_locked=True)
        ).all()
        reason = "its worker fell silent"
        tickets = [
            self._fault(session, row, name=f"{self.noun} {row.id}", reason=reason, max_attempts=max_attempts)
            for row in rows
        ]
        return [ticket for ticket in tickets if ticket is not None]

    def ask_again(self, session: Session, row: Row) -> Ticket:
        """Queue a row again, whatever its state, with all its attempts."""
        row.failures = 0
        return self.next_attempt(session, row)

    def next_attempt(self, session: Session, row: Row) -> Ticket:
        """Queue a row again; what holds an earlier ticket is out."""
        row.attempt += 1
        row.status = self.waiting
        row.lease_owner = row.lease_expires_at = None
        self.empty(session, row)
        session.flush()
        return ticket_of(row)

    def _fault(
        self, session: Session, row: Row, *, name: str, reason: str, max_attempts: int
    ) -> Ticket | None:
        row.failures += 1
        if row.failures < max_attempts:
            return self.next_attempt(session, row)
        row.lease_owner = row.lease_expires_at = None
        self.give_up(session, row, name=name, reason=reason)
        return None

    def column(self, name: str) -> ColumnElement[Any]:
        """The table's column of this name, which may be a synonym of the table's own."""
        synonyms = inspect(self.table).synonyms
        return table_of(self.table).c[synonyms[name].name if name in synonyms else name]

    # The next two run for each job and are built once, which takes longer than to send them.

    @cached_property
    def held(self) -> ReturningUpdate[Any]:
        """Of the row that a claim holds: `_held_by` says which."""
        return (
            update(table_of(self.table))
            .where(
                self.column("id") == bindparam("held_id"),
                self.column("attempt") == bindparam("held_attempt"),
                self.column("lease_owner") == bindparam("held_owner"),
                self.column("status") == self.working,
            )
            .returning(self.column("id"))
        )

    @cached_property
    def _claiming(self) -> ReturningUpdate[Any]:
        seconds = bindparam("lease_seconds", type_=Float)
        return self._claim(clock.Moment(seconds), clock.Moment())

    def _claim(
        self, expires: ColumnElement[datetime] | datetime, now: ColumnElement[datetime] | datetime
    ) -> ReturningUpdate[Any]:
        return (
            update(table_of(self.table))
            .where(
                self.column("id") == bindparam("held_id"),
                self.column("attempt") == bindparam("held_attempt"),
                self.column("status") == self.waiting,
                self.column("lease_owner").is_(None),
                Unhurried(),
            )
            .values(
                {
                    self.column("status"): self.working,
                    self.column("lease_owner"): bindparam("new_owner"),
                    self.column("lease_expires_at"): expires,
                    **{self.column(name): value for name, value in self.begun(now).items()},
                }
            )
            .returning(*self.told)
        )


def ticket_of(row: Screening | FlaggedFrame) -> Ticket:
    """The right to work on the row's present attempt."""
    return Ticket(row_id=row.id, attempt=row.attempt, priority=Priority(row.priority))


def changed_one(session: Session, statement: Update) -> bool:
    """Execute a statement; whether it found the one row that it is about."""
    result = session.execute(statement.execution_options(synchronize_session=False))
    return isinstance(result, CursorResult) and result.rowcount == 1


def _held_by(claimed: Claim) -> dict[str, Any]:
    """The parameters of `Leases.held`."""
    ticket = claimed.ticket
    return {"held_id": ticket.row_id, "held_attempt": ticket.attempt, "held_owner": claimed.owner}
