"""The same behaviour on SQLite and on PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import DatabaseError

from core.errors import NotMedia, ServiceUnavailable, SettingsError, StaleAttempt
from core.outcomes import FLAGGED, ExplanationMethod, MediaKind
from core.results import ExplanationResult, ScreeningResult
from storage import audit, explanations, screenings, videos
from storage.engine import connect, transaction
from storage.leases import Ticket
from storage.migrate import is_current, upgrade
from storage.queue.filters import Filters, Position
from storage.queue.names import SEARCH_TABLE
from storage.read import detail, workload
from storage.results import complete
from storage.screenings import Claim
from storage.tables import Base, FaceRow, utc_now
from storage.videos import Seen
from tests.screening_results import register_model, screening_result, stored_screenings

LEASE = 30.0
HASH = "a" * 64


@pytest.fixture
def ticket(engine: Engine) -> Ticket:
    """A queued screening of a fresh video."""
    with transaction(engine) as session:
        register_model(session)
        video_id, new = videos.add(
            session, sha256=HASH, size_bytes=5, media_kind=MediaKind.VIDEO, object_key="aa/" + "a" * 62
        )
        assert new
        videos.sight(session, Seen(source="s", name="clip.mp4", size_bytes=5, mtime_ns=1), video_id=video_id)
        made = screenings.request(session, video_id=video_id, model_version_id="m-1")
        assert made is not None
        assert screenings.request(session, video_id=video_id, model_version_id="m-1") is None
        return made


def claim(engine: Engine, ticket: Ticket, owner: str = "w1") -> Claim | None:
    with transaction(engine) as session:
        return screenings.LEASES.claim(session, ticket, owner=owner, lease_seconds=LEASE)


def held(engine: Engine, ticket: Ticket, owner: str = "w1") -> Claim:
    claimed = claim(engine, ticket, owner)
    assert claimed is not None
    return claimed


def result(score: float = 0.9) -> ScreeningResult:
    return screening_result(score=score, flagged_faces=[1], coverage=0.5)


def test_a_claim_tells_the_content_and_the_last_name_of_its_own_video(engine: Engine, ticket: Ticket) -> None:
    with transaction(engine) as session:
        videos.sight(session, Seen(source="s", name="moved.mp4", size_bytes=5, mtime_ns=2), video_id=1)
        other, _ = videos.add(
            session, sha256="b" * 64, size_bytes=5, media_kind=MediaKind.VIDEO, object_key="bb/" + "b" * 62
        )
        videos.sight(session, Seen(source="s", name="other.mp4", size_bytes=5, mtime_ns=3), video_id=other)
        nameless, _ = videos.add(
            session, sha256="c" * 64, size_bytes=5, media_kind=MediaKind.VIDEO, object_key="cc/" + "c" * 62
        )
        tickets = [ticket] + [
            screenings.request(session, video_id=each, model_version_id="m-1") for each in (other, nameless)
        ]
    claims = [held(engine, each) for each in tickets if each is not None]
    assert [(each.video_id, each.name, each.object_key[0]) for each in claims] == [
        (1, "moved.mp4", "a"),
        (other, "other.mp4", "b"),
        (nameless, "c" * 64, "c"),
    ]


def test_the_migrated_schema_is_that_of_the_tables(engine: Engine) -> None:
    assert is_current(engine)
    upgrade(engine)  # again: changes nothing
    # The index of names is no table of ours, and on PostgreSQL of no kind that metadata can say.
    opts = {"include_name": lambda name, *_: SEARCH_TABLE not in (name or "")}
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, Base.metadata) == []


def test_processes_that_migrate_at_once_take_turns(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'race.sqlite3'}"

    def migrate(_: int) -> bool:
        engine = connect(url)
        upgrade(engine)
        current = is_current(engine)
        engine.dispose()
        return current

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(migrate, range(4)))


def test_connections_that_come_and_go_at_once_wait_for_each_other(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'race.sqlite3'}"
    together = Barrier(4)

    def come_and_go(_: int) -> None:
        together.wait()
        for _ in range(100):
            engine = connect(url)
            with engine.begin() as connection:
                connection.execute(text("CREATE TABLE IF NOT EXISTS written (number INTEGER)"))
                connection.execute(text("INSERT INTO written VALUES (1)"))
            engine.dispose()  # the last connection takes the log away

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(come_and_go, range(4)))

    with connect(url).connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM written")) == 400


def test_of_many_claims_exactly_one_wins(engine: Engine, ticket: Ticket) -> None:
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda n: claim(engine, ticket, f"w{n}"), range(8)))
    assert sum(claimed is not None for claimed in claims) == 1


def test_a_result_is_stored_whole_and_once(engine: Engine, ticket: Ticket) -> None:
    claimed = held(engine, ticket)
    with transaction(engine) as session:
        (flagged,) = complete(session, claimed, result())
    (video,) = stored_screenings(engine, verdicts=FLAGGED)
    item = video.item
    assert (item.verdict, item.score, item.partial, video.names) == ("fake", 0.9, True, ["clip.mp4"])
    assert [frame.id for frame in video.flagged_frames] == [flagged]
    assert video.flagged_frames[0].box == (1, 2, 30, 40)
    assert (item.longest_unseen_seconds, video.looks) == (1.25, 3.5)
    assert video.tracks[0].flagged_ranges == [[0.25, 0.75]]
    assert (video.tracks[0].family, video.tracks[0].family_probability) == ("swap", 0.71)
    with pytest.raises(StaleAttempt), transaction(engine) as session:
        complete(session, claimed, result(0.1))  # the job ran twice
    assert stored_screenings(engine)[0].item.score == 0.9


def test_a_worker_that_was_given_up_cannot_write(engine: Engine, ticket: Ticket) -> None:
    slow = held(engine, ticket)
    later = utc_now() + timedelta(seconds=2 * LEASE)
    with transaction(engine) as session:
        (second,) = screenings.LEASES.take_back_expired(session, max_attempts=3, now=later)
    assert second.attempt == 2
    quick = held(engine, second, "w2")
    with transaction(engine) as session:
        assert not screenings.LEASES.renew(session, slow, lease_seconds=LEASE)
    with pytest.raises(StaleAttempt), transaction(engine) as session:
        complete(session, slow, result(0.1))
    with pytest.raises(StaleAttempt), transaction(engine) as session:
        screenings.LEASES.fail(session, slow, NotMedia(name="clip.mp4", reason="x"))
    with transaction(engine) as session:
        complete(session, quick, result(0.8))
    assert stored_screenings(engine)[0].item.score == 0.8


def test_a_video_that_kills_its_workers_is_given_up(engine: Engine, ticket: Ticket) -> None:
    now = utc_now()
    for attempt in (1, 2, 3):
        held(engine, Ticket(row_id=ticket.row_id, attempt=attempt))
        now += timedelta(days=1)
        with transaction(engine) as session:
            screenings.LEASES.take_back_expired(session, max_attempts=3, now=now)
    (video,) = stored_screenings(engine)
    assert (video.item.status, video.item.error_code) == ("failed", "attempts_exhausted")
    assert "3 attempts" in (video.item.error_message or "")


def test_a_rescreening_replaces_the_old_rows(engine: Engine, ticket: Ticket) -> None:
    claimed = held(engine, ticket)
    with transaction(engine) as session:
        complete(session, claimed, result())
    video_id = stored_screenings(engine)[0].item.video_id
    with transaction(engine) as session:
        again = screenings.request(session, video_id=video_id, model_version_id="m-1", again=True)
    assert again == Ticket(row_id=ticket.row_id, attempt=2)
    claimed = held(engine, again)
    with transaction(engine) as session:
        complete(session, claimed, result(0.7))
    with transaction(engine) as session:
        assert len(session.scalars(select(FaceRow)).all()) == 2
    assert [video.item.score for video in stored_screenings(engine)] == [0.7]


def test_explanations_are_fenced_and_replaced(engine: Engine, ticket: Ticket) -> None:
    claimed = held(engine, ticket)
    with transaction(engine) as session:
        (flagged,) = complete(session, claimed, result())
    lime = ExplanationResult(
        method=ExplanationMethod.LIME,
        parameters={"samples": 10},
        seed=0,
        segments=b"x",
        weights=[0.1],
        intercept=0.0,
        local_prediction=0.5,
        r2=0.9,
        stability=1.0,
        overlays={"heat": "k"},
    )
    with transaction(engine) as session:
        assert explanations.LEASES.queued(session) == [Ticket(row_id=flagged, attempt=1)]
        first = explanations.LEASES.claim(
            session, Ticket(row_id=flagged, attempt=1), owner="e1", lease_seconds=LEASE
        )
    assert first is not None
    with transaction(engine) as session:
        assert explanations.LEASES.queued(session) == []
        (again,) = explanations.LEASES.take_back_expired(
            session, max_attempts=3, now=utc_now() + timedelta(days=1)
        )
        second = explanations.LEASES.claim(session, again, owner="e2", lease_seconds=LEASE)
    assert second is not None
    with pytest.raises(StaleAttempt), transaction(engine) as session:
        explanations.store(session, first, lime)
    for _ in range(2):
        with transaction(engine) as session:
            explanations.store(session, second, lime)
    with transaction(engine) as session:
        explanations.finish(session, second)
    (frame,) = stored_screenings(engine)[0].flagged_frames
    with transaction(engine) as session:
        assert workload.counts(session).busy == 0
    assert (frame.explain_status, [each.method for each in frame.explanations]) == ("done", ["lime"])


def test_an_explanation_has_as_many_attempts_each_time_it_is_asked_for(
    engine: Engine, ticket: Ticket
) -> None:
    screened = held(engine, ticket)
    with transaction(engine) as session:
        (flagged,) = complete(session, screened, result())
    attempt = 1

    def try_it(*, counts: bool) -> Ticket | None:
        with transaction(engine) as session:
            claimed = explanations.LEASES.claim(
                session,
                Ticket(row_id=flagged, attempt=attempt),
                owner="e",
                lease_seconds=LEASE,
            )
            assert claimed is not None
            return explanations.LEASES.release(session, claimed, reason="x", max_attempts=2, counts=counts)

    for counts in (False, False, False, True):  # the installation's faults are none of the frame's
        assert try_it(counts=counts) is not None
        attempt += 1
    assert try_it(counts=True) is None
    with transaction(engine) as session:
        (again,) = explanations.ask_again(session, ticket.row_id)
    attempt = again.attempt
    assert try_it(counts=True) is not None


def test_asking_again_costs_an_explanation_none_of_its_attempts(engine: Engine, ticket: Ticket) -> None:
    """The attempt is the fencing token alone: it rises with each request, the failures do not."""
    screened = held(engine, ticket)
    with transaction(engine) as session:
        (flagged,) = complete(session, screened, result())
    asked = [Ticket(row_id=flagged, attempt=1)]
    for _ in range(3):
        with transaction(engine) as session:
            asked += explanations.ask_again(session, ticket.row_id)
    assert [each.attempt for each in asked] == [1, 2, 3, 4]
    with transaction(engine) as session:
        stale = [
            explanations.LEASES.claim(session, each, owner="e", lease_seconds=LEASE) for each in asked[:-1]
        ]
        claimed = explanations.LEASES.claim(session, asked[-1], owner="e", lease_seconds=LEASE)
    assert stale == [None] * 3
    assert claimed is not None
    with transaction(engine) as session:
        again = explanations.LEASES.release(session, claimed, reason="a passing fault", max_attempts=3)
    assert again == Ticket(row_id=flagged, attempt=5)
    (frame,) = stored_screenings(engine)[0].flagged_frames
    assert (frame.explain_status, frame.explain_error) == ("queued", None)


def test_an_explanation_asked_for_again_meanwhile_drops_the_older_one(engine: Engine, ticket: Ticket) -> None:
    screened = held(engine, ticket)
    with transaction(engine) as session:
        (flagged,) = complete(session, screened, result())
    with transaction(engine) as session:
        slow = explanations.LEASES.claim(
            session, Ticket(row_id=flagged, attempt=1), owner="e", lease_seconds=LEASE
        )
        assert slow is not None
        explanations.ask_again(session, ticket.row_id)
    with transaction(engine) as session:
        assert not explanations.LEASES.renew(session, slow, lease_seconds=LEASE)
    with pytest.raises(StaleAttempt, match=f"flagged frame {flagged}"), transaction(engine) as session:
        explanations.finish(session, slow)
    with transaction(engine) as session:
        assert explanations.LEASES.release(session, slow, reason="late", max_attempts=3) is None
        assert explanations.LEASES.queued(session) == [Ticket(row_id=flagged, attempt=2)]


@pytest.mark.parametrize("statement", ["UPDATE audit_event SET actor = 'x'", "DELETE FROM audit_event"])
def test_the_audit_log_only_grows(engine: Engine, statement: str) -> None:
    with transaction(engine) as session:
        audit.record(session, actor="a", action="b", subject="c")
    with pytest.raises(DatabaseError, match="append-only"), engine.begin() as connection:
        connection.execute(text(statement))


def test_pages_follow_one_another_without_gap(engine: Engine, ticket: Ticket) -> None:
    with transaction(engine) as session:
        for number in range(10):
            video_id, _ = videos.add(
                session,
                sha256=f"{number:064x}",
                size_bytes=1,
                media_kind=MediaKind.VIDEO,
                object_key="k",
            )
            screenings.request(session, video_id=video_id, model_version_id="m-1")
    seen: list[int] = []
    after = None
    with transaction(engine) as session:
        while page := detail.screenings(session, Filters(every_screening=True), limit=3, after=after):
            seen += [video.item.screening_id for video in page]
            after = Position(id=seen[-1])
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 11


def test_a_database_that_is_away_is_named_without_its_password() -> None:
    engine = connect("postgresql+psycopg://me:hush@127.0.0.1:1/none")
    with (
        pytest.raises(ServiceUnavailable, match="FACEWARDEN_DATABASE_URL") as caught,
        transaction(engine) as session,
    ):
        session.execute(text("SELECT 1"))
    assert "hush" not in str(caught.value)


def test_a_database_without_tables_says_what_to_run(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'bare.sqlite3'}")
    with pytest.raises(SettingsError, match="facewarden migrate"), transaction(engine) as session:
        workload.counts(session)
    engine.dispose()


def test_videos_are_called_by_hash_first_digits_or_whole_name(engine: Engine) -> None:
    keys = {"ab" + "0" * 62: "Ünï/clip.mp4", "abf" + "f" * 61: "b%_", "ac" + "0" * 62: "ab"}
    with transaction(engine) as session:
        ids = []
        for sha256, name in keys.items():
            video_id, _ = videos.add(
                session, sha256=sha256, size_bytes=1, media_kind=MediaKind.VIDEO, object_key="x"
            )
            seen = Seen(source="s", name=name, size_bytes=1, mtime_ns=1)
            videos.sight(session, seen, video_id=video_id)
            videos.refuse(session, replace(seen, name=name + "!"), code="x", message="x")
            ids.append(video_id)

    def found(key: str) -> list[int]:
        with transaction(engine) as session:
            return sorted(i for i in session.scalars(videos.called(session, key)) if i is not None)

    first, second, third = ids
    for sha256, video_id in zip(keys, ids, strict=True):
        assert found(sha256) == [video_id]
    assert found("ab") == ids  # two by their digits, one by its name
    assert found("ABF") == [second]
    assert found("a") == ids
    assert found("Ünï/clip.mp4") == [first]
    assert found("b%_") == [second]
    assert found("ac") == [third]
    for nobody in ("ünï/clip.mp4", "clip.mp4", "Ünï/clip.mp4!", "b__", "%", "", "g", "ab" + "0" * 63):
        assert found(nobody) == []
