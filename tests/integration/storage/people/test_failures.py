"""Failed sign-ins reach the audit log, and no flood of them fills it."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, func, select

from core.roles import Role
from storage import audit
from storage.engine import reading, transaction
from storage.people import accounts, failures
from storage.people.failures import DISTINCT, SEVERAL, UNKNOWN, Reason
from storage.tables import SignInFailure

NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
LATER = NOW + timedelta(minutes=2)


def fail(
    engine: Engine, name: str, address: str = "192.0.2.1", *, times: int = 1, at: datetime = NOW
) -> None:
    for _ in range(times):
        with transaction(engine) as session:
            failures.count(session, name=name, address=address, now=at)


def told(engine: Engine) -> list[tuple[str, dict[str, object]]]:
    with reading(engine) as session:
        assert audit.verify(session).sound
        events = audit.page(session, action="account.sign_in_failed")
    return [(each.subject, each.detail) for each in reversed(events)]


def test_a_minute_is_told_once_when_it_is_over(engine: Engine) -> None:
    with transaction(engine) as session:
        accounts.add(session, name="ann", role=Role.VIEWER, password_hash="h", actor="t")  # noqa: S106
        accounts.add(session, name="ci", role=Role.SERVICE, password_hash=None, actor="t")
        gone = accounts.add(session, name="gone", role=Role.VIEWER, password_hash="h", actor="t")  # noqa: S106
        accounts.set_active(session, gone.id, active=False, actor="t")
    fail(engine, "ann", times=3)
    fail(engine, "ann", "198.51.100.7")
    for name in ("ci", "gone", "hunter2 in the wrong field"):
        fail(engine, name)
    with transaction(engine) as session:
        failures.count(session, name="ann", address="192.0.2.1", reason=Reason.TOO_MANY, now=NOW)
    failures.tell(engine, now=NOW + timedelta(seconds=29))
    assert told(engine) == []  # the minute is not over
    for _ in range(2):
        failures.tell(engine, now=LATER)
    shared = {"minute": "2026-03-01T12:00+00:00"}
    here = shared | {"address": "192.0.2.1"}
    assert told(engine) == [
        (UNKNOWN, here | {"reason": "unknown_name", "failures": 1}),
        ("ann", here | {"reason": "too_many", "failures": 1}),
        ("ann", here | {"reason": "wrong_password", "failures": 3}),
        ("ann", shared | {"address": "198.51.100.7", "reason": "wrong_password", "failures": 1}),
        ("ci", here | {"reason": "no_password", "failures": 1}),
        ("gone", here | {"reason": "disabled", "failures": 1}),
    ]


def test_a_flood_is_one_event(engine: Engine) -> None:
    for number in range(3 * DISTINCT):
        fail(engine, "x", f"2001:db8:0:{number:x}::/64")
    fail(engine, "x", "2001:db8:0:1::/64")  # told apart from the beginning
    with reading(engine) as session:
        assert session.scalar(select(func.count()).select_from(SignInFailure)) == DISTINCT + 1
    failures.tell(engine, now=LATER)
    events = told(engine)
    assert len(events) == DISTINCT + 1
    assert sum(int(str(detail["failures"])) for _, detail in events) == 3 * DISTINCT + 1
    assert (SEVERAL, 2 * DISTINCT) in [(subject, detail["failures"]) for subject, detail in events]
