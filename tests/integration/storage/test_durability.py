"""Which commits wait for the disk of PostgreSQL's machine, and what becomes of those that a crash undid."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine, func, select, text, update
from sqlalchemy.orm import Session

from core.errors import StaleAttempt
from core.known import FrameHash
from core.outcomes import ScreeningStatus, Verdict
from storage import screenings
from storage.durability import Unhurried
from storage.engine import reading, single, transaction
from storage.known import hashes
from storage.known import index as module
from storage.known.index import HashIndex
from storage.results import complete
from storage.tables import AuditEvent, FrameHashRow, Screening, Video
from tests.known_videos import scene, scenes, screened
from tests.screening_results import register_model, screening_result


@pytest.fixture
def house(engine: Engine) -> Engine:
    """One video was screened, another one waits: number 2."""
    with transaction(engine) as session:
        register_model(session)
    screened(engine, HashIndex(), 1, scenes(1, 2))
    screened(engine, HashIndex(), 2, scenes(3, 4))
    with transaction(engine) as session:
        screenings.request(session, video_id=2, model_version_id="m-1", again=True)
    return engine


def claim(session: Session, owner: str = "w1") -> screenings.Claim | None:
    row = session.scalars(select(Screening).where(Screening.video_id == 2)).one()
    ticket = screenings.ticket_of(row)
    return screenings.LEASES.claim(session, ticket, owner=owner, lease_seconds=60)


def waits(session: Session) -> bool:
    """Whether the commit of the running transaction waits for the disk."""
    return session.scalar(text("SHOW synchronous_commit")) == "on"


def test_claims_and_hashes_do_not_wait_for_the_disk_but_verdicts_do(house: Engine) -> None:
    if house.dialect.name == "sqlite":
        pytest.skip("SQLite has no such setting")
    with transaction(house) as session:
        server = session.scalar(select(func.pg_backend_pid()))
        assert waits(session)
        claimed = claim(session)
        assert claimed is not None
        assert not waits(session)
    with transaction(house) as session:
        assert waits(session)  # it did not leak
        assert screenings.LEASES.renew(session, claimed, lease_seconds=60)
        assert not waits(session)
    with transaction(house) as session:
        assert waits(session)
        hashes.keep(session, 2, scenes(5, 6))
        assert not waits(session)
    with transaction(house) as session:
        assert waits(session)
        complete(session, claimed, screening_result(Verdict.CLEAR, 0.2))
        assert waits(session)
        assert session.scalar(select(func.pg_backend_pid())) == server  # it was the same connection all along


def test_a_single_statement_leaves_the_connection_as_it_was(house: Engine) -> None:
    if house.dialect.name == "sqlite":
        pytest.skip("SQLite has no such setting")
    with transaction(house) as session:
        session.add(Video(id=3, sha256="e" * 64, size_bytes=1, media_kind="video", object_key="k"))
    with single(house) as session:
        assert claim(session) is not None
        assert waits(session)
        assert len(hashes.keep_first(session, 3, scenes(7))) == 1
        assert waits(session)


def test_a_statement_with_it_is_compiled_once() -> None:
    """Else each claim would take longer than the wait that it saves."""
    assert select(1).where(Unhurried())._generate_cache_key() is not None


def test_ends_and_returns_of_an_attempt_wait_for_the_disk(house: Engine) -> None:
    if house.dialect.name == "sqlite":
        pytest.skip("SQLite has no such setting")
    with single(house) as session:
        claimed = claim(session)
    assert claimed is not None
    with transaction(house) as session:
        screenings.LEASES.release(session, claimed, reason="it was ill", max_attempts=3)
        assert waits(session)
    with transaction(house) as session:
        claimed = claim(session)
    with transaction(house) as session:
        session.execute(update(Screening).values(lease_expires_at=func.now() - timedelta(seconds=1)))
        screenings.LEASES.take_back_expired(session, max_attempts=3)
        assert waits(session)


def test_who_holds_a_claim_that_a_crash_undid_stores_nothing(house: Engine) -> None:
    with transaction(house) as session:
        lost = claim(session, "w1")
    assert lost is not None
    with transaction(house) as session:  # as the crash leaves it: it waits, under the same attempt
        row = session.scalars(select(Screening).where(Screening.video_id == 2)).one()
        row.status, row.lease_owner, row.lease_expires_at = ScreeningStatus.QUEUED, None, None

    def finish(claimed: screenings.Claim) -> None:
        with transaction(house) as session:
            complete(session, claimed, screening_result(Verdict.FAKE, 0.9))

    with transaction(house) as session:
        assert not screenings.LEASES.renew(session, lost, lease_seconds=60)
    with pytest.raises(StaleAttempt):
        finish(lost)
    with transaction(house) as session:
        other = claim(session, "w2")
    assert other is not None
    assert other.ticket == lost.ticket  # the very attempt
    with transaction(house) as session:
        assert not screenings.LEASES.renew(session, lost, lease_seconds=60)
    with pytest.raises(StaleAttempt):
        finish(lost)
    finish(other)
    with pytest.raises(StaleAttempt):
        finish(lost)
    with reading(house) as session:
        said = select(func.count()).where(AuditEvent.action == "screening.done")
        assert session.scalar(said) == 3  # of the first two, and this one


@pytest.mark.parametrize("built", [False, True])
def test_numbers_that_a_crash_gave_out_once_more_are_read_again(
    house: Engine, monkeypatch: pytest.MonkeyPatch, built: bool
) -> None:
    """Those of the last minute: an index that holds millions does not read all of them again."""
    monkeypatch.setattr(module, "LATEST_ROWS", 0 if built else 10**6)
    now = 0.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    index = HashIndex()

    def following() -> None:
        nonlocal now
        with reading(house) as session:
            index.follow(session)
        now += 61

    def stored(number: int, found: FrameHash) -> None:
        with transaction(house) as session:
            session.add(FrameHashRow(id=number, video_id=1, **vars(found)))

    def knows(*numbers: int) -> list[bool]:
        return [index.search([scene(one).pdq], 0).ids.size == 1 for one in numbers]

    following()
    stored(10, scene(10))
    following()
    now += 61
    stored(11, scene(11))
    stored(12, scene(12))
    following()
    assert knows(1, 10, 11, 12) == [True, True, True, True]
    with transaction(house) as session:  # as the crash leaves it, and other videos came since
        session.execute(text("DELETE FROM frame_hash WHERE id > 10"))
    stored(11, scene(21))
    stored(12, scene(22))
    stored(13, scene(23))
    asked: list[int] = []
    reads = index._read
    monkeypatch.setattr(index, "_read", lambda session: asked.append(index._highest) or reads(session))
    following()
    assert knows(1, 10, 21, 22, 23) == [True] * 5
    assert knows(11, 12) == [False, False]
    assert asked == [12, 10]  # what was settled was not read again
    following()
    assert asked == [12, 10, 13]
