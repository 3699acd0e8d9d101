"""Sign-in attempts, counted to limit guessing.

An attempt is recorded before its password is checked, so that concurrent attempts cannot slip past the limit.
"""

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.orm import Session

from core.errors import TooManySignIns
from storage.tables import SignInAttempt, utc_now

KEPT = timedelta(days=1)
LONGEST_NAME = 64
LOCK = 7_166_304  # PostgreSQL's advisory lock for counting; any fixed number will do


@dataclass(frozen=True, kw_only=True)
class Limits:
    window_minutes: float
    failures_per_name: int
    failures_per_address: int

    @property
    def window(self) -> timedelta:
        return timedelta(minutes=self.window_minutes)


def network(address: str | None) -> str:
    """What counts as one address: an IPv4 address, or the /64 network of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def begin(session: Session, *, name: str, address: str, limits: Limits, now: datetime | None = None) -> int:
    """Record an attempt, as failed until `succeed` is called; returns its id.

    Raises TooManySignIns if the name or the address has failed too often recently.
    """
    now = now or utc_now()
    name = name[:LONGEST_NAME]
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(LOCK)))
    session.execute(delete(SignInAttempt).where(SignInAttempt.at < now - KEPT))
    since = now - limits.window
    failures = select(SignInAttempt.at).where(SignInAttempt.at > since, SignInAttempt.succeeded.is_(False))
    by_address = failures.where(SignInAttempt.address == address)
    for query, limit in (
        (by_address, limits.failures_per_address),
        (_of_name(session, failures, name, address), limits.failures_per_name),
    ):
        _refuse(session, query, limit, limits.window, now)
    row = SignInAttempt(name=name, address=address, at=now)
    session.add(row)
    session.flush()
    return row.id


def _of_name(session: Session, failures: Select[datetime], name: str, address: str) -> Select[datetime]:
    """The failures that count against the name for sign-ins from this address."""
    failures = failures.where(SignInAttempt.name == name)
    success = select(func.max(SignInAttempt.at)).where(
        SignInAttempt.name == name, SignInAttempt.address == address, SignInAttempt.succeeded
    )
    last = session.scalar(success)
    if last is None:
        return failures
    # Strangers elsewhere cannot lock out an address from which the owner signed in today.
    return failures.where(SignInAttempt.address == address, SignInAttempt.at > last)


def _refuse(session: Session, query: Select[datetime], limit: int, window: timedelta, now: datetime) -> None:
    # The limit-th newest failure: once it leaves the window, another attempt is allowed.
    oldest = session.scalar(query.order_by(SignInAttempt.at.desc()).offset(limit - 1).limit(1))
    if oldest is not None:
        raise TooManySignIns(seconds=max(1, ceil((oldest + window - now).total_seconds())))


def withdraw(session: Session, attempt_id: int) -> None:
    """Forget an attempt that says nothing of who made it."""
    session.execute(delete(SignInAttempt).where(SignInAttempt.id == attempt_id))


def succeed(session: Session, attempt_id: int) -> None:
    """Mark the attempt as successful."""
    session.execute(update(SignInAttempt).where(SignInAttempt.id == attempt_id).values(succeeded=True))
