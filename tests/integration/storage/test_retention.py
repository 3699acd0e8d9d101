"""Files and faces go when their days are over, by verdict and decision; results stay."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from core.errors import NotFound, OriginalErased
from core.outcomes import DecisionOutcome, MediaKind, Replaced, Verdict
from core.outgoing import Guard
from core.retention import Keeping
from core.roles import Role
from core.settings import RetentionSettings
from storage import earlier_answers, erasure, retention, screenings, videos
from storage.engine import reading, transaction
from storage.objects.folder import FolderStore
from storage.people import accounts, decisions
from storage.read import detail
from storage.results import complete
from storage.retention import Part
from storage.streams import alerts, requests
from storage.streams.alerts import Raised, StoredFrame
from storage.tables import AuditEvent, Decision, EarlierAnswer, Screening, StreamAlert, Video, utc_now
from tests.screening_results import register_model, screening_result

WEEK = RetentionSettings(originals={Keeping.CLEAR: 7, Keeping.FAKE: 7}, faces={Keeping.FLAGGED: 7})


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "objects")


def screened(
    engine: Engine,
    store: FolderStore,
    name: str,
    verdict: Verdict,
    *,
    days_ago: float,
    decided: DecisionOutcome | None = None,
) -> int:
    """A video with objects of its own, screened, and perhaps decided, so many days ago."""
    then = utc_now() - timedelta(days=days_ago)
    keys = {each: store.put_bytes(f"{name} {each}".encode()) for each in ("video", "image", "crop", "poster")}
    with transaction(engine) as session:
        register_model(session)
        video_id, _ = videos.add(
            session, sha256=f"{name:>064}", size_bytes=5, media_kind=MediaKind.VIDEO, object_key=keys["video"]
        )
        ticket = screenings.request(session, video_id=video_id, model_version_id="m-1")
        assert ticket is not None
        claimed = screenings.LEASES.claim(session, ticket, owner="w", lease_seconds=60)
        assert claimed is not None
        result = screening_result(
            verdict, image_key=keys["image"], crop_key=keys["crop"], poster_key=keys["poster"]
        )
        complete(session, claimed, result)
        if decided is not None:
            anna = accounts.add(
                session, name=f"a{name}", role=Role.SERVICE, password_hash=None, actor="t", must_change=False
            )
            decisions.decide(
                session, video_id=video_id, account_id=anna.id, outcome=decided, reason=None, note=None
            )
    with transaction(engine) as session:
        session.execute(update(Screening).where(Screening.video_id == video_id).values(finished_at=then))
        session.execute(update(Decision).where(Decision.video_id == video_id).values(created_at=then))
    return video_id


def test_what_has_outlived_its_days_goes_and_the_rest_stays(engine: Engine, store: FolderStore) -> None:
    old_clear = screened(engine, store, "1", Verdict.CLEAR, days_ago=8)
    screened(engine, store, "2", Verdict.CLEAR, days_ago=6)
    old_flagged = screened(engine, store, "3", Verdict.FAKE, days_ago=8)
    screened(engine, store, "4", Verdict.FAKE, days_ago=8, decided=DecisionOutcome.GENUINE)
    old_fake = screened(engine, store, "5", Verdict.CLEAR, days_ago=8, decided=DecisionOutcome.FAKE)
    held = screened(engine, store, "6", Verdict.CLEAR, days_ago=8)
    with transaction(engine) as session:
        erasure.hold(session, held, reason="case", actor="root")
    expected = {
        (Part.ORIGINALS, Keeping.FAKE): 1,
        (Part.ORIGINALS, Keeping.CLEAR): 1,
        (Part.FACES, Keeping.FLAGGED): 1,
    }
    assert {(each.part, each.keeping): each.count for each in retention.due(engine, WEEK)} == expected
    objects = sum(1 for _ in store.stored())
    purged = retention.purge(engine, store, WEEK)
    assert {(each.part, each.keeping): each.count for each in purged} == expected
    assert {(each.part, each.keeping): each.objects for each in purged} == {
        (Part.ORIGINALS, Keeping.FAKE): 1,
        (Part.ORIGINALS, Keeping.CLEAR): 1,
        (Part.FACES, Keeping.FLAGGED): 3,
    }
    assert sum(1 for _ in store.stored()) == objects - 5
    with reading(engine) as session:
        gone = set(session.scalars(select(Video.id).where(Video.object_key == "")))
        assert gone == {old_clear, old_fake}
        told = session.scalars(select(AuditEvent).where(AuditEvent.actor == "retention")).all()
        assert {(each.action, tuple(each.detail["videos"])) for each in told} == {
            ("retention.originals", (old_fake,)),
            ("retention.originals", (old_clear,)),
            ("retention.faces", (old_flagged,)),
        }
        seen = detail.video(session, old_flagged)
        assert (seen.item.verdict, list(seen.flagged_frames)) == (Verdict.FAKE, [])
        assert seen.kept.faces_erased_at is not None
        assert not seen.item.has_poster
        assert detail.video(session, old_clear).kept.original_erased_at is not None
        with pytest.raises(OriginalErased):
            detail.media(session, old_clear)
    assert [each.count for each in retention.due(engine, WEEK)] == [0, 0, 0]
    assert [each.count for each in retention.purge(engine, store, WEEK)] == [0, 0, 0]


def test_what_is_held_or_erased_while_a_purge_runs_is_passed_over(
    engine: Engine, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time: nobody can come between")
    old, held, erased = (screened(engine, store, name, Verdict.CLEAR, days_ago=8) for name in "123")

    def locked(session: Session, number: int) -> Video:
        if number == old:  # the page has been read, and nothing of it is locked yet
            with transaction(engine) as other:
                erasure.hold(other, held, reason="case", actor="root")
            erasure.erase(engine, store, erased, reason="asked for", actor="root")
        return erasure.locked(session, number)

    monkeypatch.setattr(retention, "locked", locked)
    (purged,) = retention.purge(engine, store, RetentionSettings(originals={Keeping.CLEAR: 7}))
    assert (purged.count, purged.objects) == (1, 1)
    with reading(engine) as session:
        assert detail.media(session, held).object_key
        assert erasure.kept(session, held).original_erased_at is None
        entry = session.scalars(select(AuditEvent).where(AuditEvent.actor == "retention")).one()
        assert entry.detail["videos"] == [old]


@pytest.mark.parametrize(("days_ago", "due"), [(6, 0), (8, 1)])
def test_days_begin_anew_where_another_policy_gives_another_answer(
    engine: Engine, store: FolderStore, days_ago: int, due: int
) -> None:
    number = screened(engine, store, "1", Verdict.FAKE, days_ago=100)
    with transaction(engine) as session:
        row = session.scalars(select(Screening).where(Screening.video_id == number)).one()
        earlier_answers.keep(session, row, because=Replaced.REAGGREGATED)
        row.verdict = Verdict.CLEAR
    with transaction(engine) as session:
        then = utc_now() - timedelta(days=days_ago)
        session.execute(update(EarlierAnswer).values(replaced_at=then))
    assert [each.count for each in retention.due(engine, WEEK)] == [0, due, 0]


def test_posters_of_what_was_not_flagged_go_as_well(engine: Engine, store: FolderStore) -> None:
    number = screened(engine, store, "1", Verdict.CLEAR, days_ago=8)
    (done,) = retention.purge(engine, store, RetentionSettings(faces={Keeping.CLEAR: 7}))
    assert (done.count, done.objects) == (1, 1)
    with reading(engine) as session, pytest.raises(NotFound, match="poster"):
        detail.poster_key(session, number)


def test_a_file_that_comes_again_is_kept_again(engine: Engine, store: FolderStore) -> None:
    number = screened(engine, store, "1", Verdict.CLEAR, days_ago=8)
    retention.purge(engine, store, WEEK)
    key = store.put_bytes(b"1 video")
    with transaction(engine) as session:
        added = videos.add(
            session, sha256=f"{'1':>064}", size_bytes=5, media_kind=MediaKind.VIDEO, object_key=key
        )
        assert added == (number, False)
    with reading(engine) as session:
        assert detail.media(session, number).object_key == key
        assert erasure.kept(session, number).original_erased_at is None


def test_the_evidence_of_old_alerts_goes_and_what_they_say_stays(engine: Engine, store: FolderStore) -> None:
    settings = RetentionSettings(streams=7)
    keys = [store.put_bytes(each.encode()) for each in ("old image", "old crop", "old clip", "new clip")]
    frame = StoredFrame(
        time_seconds=21, score=0.9, box=(1, 2, 3, 4), frame_size=(64, 48), image_key=keys[0], crop_key=keys[1]
    )
    told = Raised(
        track=1,
        start_seconds=20,
        end_seconds=24,
        raised_seconds=24,
        peak_score=0.9,
        over=True,
        frames=[frame],
        clip_key=keys[2],
    )
    with transaction(engine) as session:
        url = "https://example.com/a.m3u8"
        stream = requests.add(session, url=url, name=None, guard=Guard(), actor="ada")
        for each in (
            told,
            replace(told, track=2, frames=[], clip_key=keys[3]),
            replace(told, track=3, frames=[], clip_key=None, over=False),
        ):
            alerts.write(session, stream.id, "a", each, model_version="m-1")
        then = utc_now() - timedelta(days=8)
        aged = update(StreamAlert).where(StreamAlert.track_number != 2)
        session.execute(aged.values(raised_at=then))
    assert [(each.part, each.keeping, each.count) for each in retention.due(engine, settings)] == [
        (Part.STREAMS, None, 1)
    ]
    (purged,) = retention.purge(engine, store, settings)
    assert (purged.count, purged.objects) == (1, 3)
    assert {store.read(key) for key in keys[3:]} == {b"new clip"}
    with reading(engine) as session:
        going_on, new, old = requests.alerts(session, stream.id)
        assert (old.track_number, old.peak_score, old.has_clip, old.frames) == (1, 0.9, False, [])
        assert (new.has_clip, going_on.over) == (True, False)
        entry = session.scalars(select(AuditEvent).where(AuditEvent.action == "retention.streams")).one()
        assert entry.detail["alerts"] == [old.id]
    assert [each.count for each in retention.purge(engine, store, settings)] == [0]


def test_without_days_nothing_is_due(engine: Engine, store: FolderStore) -> None:
    screened(engine, store, "1", Verdict.CLEAR, days_ago=4000)
    assert retention.due(engine, RetentionSettings()) == []
    assert retention.purge(engine, store, RetentionSettings()) == []
