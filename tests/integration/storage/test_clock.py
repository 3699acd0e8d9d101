"""The clocks of the machines may be wrong: what expires does so by the database's."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, select

from core.outcomes import MediaKind, ScreeningStatus
from storage import clock, leases, screenings, tables, videos
from storage.engine import transaction
from storage.tables import Screening, utc_now
from tests.screening_results import register_model


@pytest.fixture(params=[-5, 5])
def skewed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process's clock is hours behind, or ahead."""
    moved = timedelta(hours=request.param)

    def now() -> datetime:
        return datetime.now(UTC) + moved

    for module in (tables, screenings):
        monkeypatch.setattr(module, "utc_now", now)


def ask_for_one(engine: Engine) -> leases.Ticket:
    with transaction(engine) as session:
        register_model(session)
        number, _ = videos.add(
            session, sha256="a" * 64, size_bytes=1, media_kind=MediaKind.VIDEO, object_key="a"
        )
        ticket = screenings.request(session, video_id=number, model_version_id="m-1")
    assert ticket is not None
    return ticket


@pytest.mark.usefixtures("skewed")
def test_a_lease_lasts_as_long_whatever_the_clocks_of_worker_and_ingest_say(engine: Engine) -> None:
    ticket = ask_for_one(engine)
    with transaction(engine) as session:
        claimed = screenings.LEASES.claim(session, ticket, owner="w", lease_seconds=60)
        assert claimed is not None
        assert screenings.LEASES.renew(session, claimed, lease_seconds=60)
    with transaction(engine) as session:
        expires = session.scalars(select(Screening.lease_expires_at)).one()
        assert expires is not None
        assert timedelta(0) < expires - clock.database_now(session) <= timedelta(seconds=60)
        assert not screenings.stuck(session)
        assert not screenings.LEASES.take_back_expired(session, max_attempts=3)
        assert screenings.LEASES.renew(session, claimed, lease_seconds=-1)
    with transaction(engine) as session:
        assert screenings.stuck(session)
        assert len(screenings.LEASES.take_back_expired(session, max_attempts=3)) == 1
        assert session.scalars(select(Screening.status)).all() == [ScreeningStatus.QUEUED]


def test_a_moment_is_stored_and_compared_like_every_other(engine: Engine) -> None:
    with transaction(engine) as session:
        before = clock.database_now(session)
        moment, earlier = session.execute(select(clock.Moment(30.5), clock.Moment(-30.5) < utc_now())).one()
        after = clock.database_now(session)
    assert before + timedelta(seconds=30.4) < moment < after + timedelta(seconds=30.6)
    assert earlier
