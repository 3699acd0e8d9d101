"""Failed sign-ins in the audit log: one event for all of a minute that are alike, however many there are.

The log is never shortened, and anybody may fail to sign in. So failures are counted by minute, account,
address and reason, and told once the minute is over; of more than `DISTINCT` kinds in a minute the rest are
one.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine, Select, delete, exists, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from storage import audit
from storage.engine import reading, transaction
from storage.tables import Account, SignInFailure, utc_now

ACTOR = "sign-in"
UNKNOWN = "(unknown)"  # a name that no account has may be a password in the wrong field: it is not kept
SEVERAL = "(several)"
DISTINCT = 20  # kinds of failures that are told apart in a minute
MINUTE = timedelta(minutes=1)
LOCK = 7_166_308  # PostgreSQL's advisory lock for telling; any fixed number will do


class Reason(StrEnum):
    WRONG_PASSWORD = "wrong_password"  # noqa: S105  a word
    UNKNOWN_NAME = "unknown_name"
    DISABLED = "disabled"
    NO_PASSWORD = "no_password"  # noqa: S105  a service, or somebody who signs in elsewhere
    TOO_MANY = "too_many"  # nothing was looked at
    # At an OpenID Connect provider (review.auth.oidc).
    OIDC_STATE = "oidc_state"  # no journey of this browser
    OIDC_DENIED = "oidc_denied"  # the provider said no
    OIDC_UNREACHABLE = "oidc_unreachable"  # no answer, or not one by the book
    OIDC_CODE = "oidc_code"  # not redeemed
    OIDC_SIGNATURE = "oidc_signature"
    OIDC_ISSUER = "oidc_issuer"
    OIDC_AUDIENCE = "oidc_audience"
    OIDC_EXPIRED = "oidc_expired"
    OIDC_NONCE = "oidc_nonce"  # of another sign-in
    OIDC_TOKEN = "oidc_token"  # noqa: S105  a word; another claim is missing or wrong
    OIDC_REPLAYED = "oidc_replayed"
    OIDC_NO_GROUP = "oidc_no_group"  # none of theirs gives a role
    OIDC_OTHER = "oidc_other"  # somebody else than whose session was to be confirmed
    OIDC_STALE = "oidc_stale"  # no password given just now


def count(
    session: Session, *, name: str, address: str, reason: Reason | None = None, now: datetime | None = None
) -> None:
    """Count a failure under an account's name; without a reason it is that its password was wrong, unless the
    account says otherwise."""
    found = session.execute(
        select(Account.name, Account.active, Account.password_hash).where(Account.name == name)
    ).first()
    if reason is None:
        if found is None:
            reason = Reason.UNKNOWN_NAME
        elif not found.active:
            reason = Reason.DISABLED
        else:
            reason = Reason.NO_PASSWORD if found.password_hash is None else Reason.WRONG_PASSWORD
    minute = (now or utc_now()).replace(second=0, microsecond=0)
    kind = {"account": UNKNOWN if found is None else found.name, "address": address, "reason": reason}
    if (
        session.scalars(_distinct(minute)).one() >= DISTINCT
        and session.get(SignInFailure, (minute, *kind.values())) is None
    ):
        kind |= {"account": SEVERAL, "address": SEVERAL}
    insert: Any = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    session.execute(
        insert(SignInFailure)
        .values(minute=minute, **kind, failures=1)
        .on_conflict_do_update(
            index_elements=["minute", "account", "address", "reason"],
            set_={"failures": SignInFailure.failures + 1},
        )
    )


def _distinct(minute: datetime) -> Select[int]:
    return select(func.count()).select_from(SignInFailure).where(SignInFailure.minute == minute)


def tell(engine: Engine, *, now: datetime | None = None) -> None:
    """Tell the log of the minutes that are over."""
    over = SignInFailure.minute <= (now or utc_now()) - MINUTE
    with reading(engine) as session:
        if not session.scalar(select(exists().where(over))):
            return
    with transaction(engine) as session:
        if engine.dialect.name == "postgresql":  # two that delete the same rows could wait for each other
            session.execute(select(func.pg_advisory_xact_lock(LOCK)))
        # Whoever deletes a row tells of it: two processes may be here at once.
        rows = session.execute(
            delete(SignInFailure).where(over).returning(*SignInFailure.__table__.columns)
        ).all()
        for row in sorted(rows):
            audit.record(
                session,
                actor=ACTOR,
                action="account.sign_in_failed",
                subject=row.account,
                address=row.address,
                reason=row.reason,
                failures=row.failures,
                minute=row.minute.isoformat(timespec="minutes"),
            )
