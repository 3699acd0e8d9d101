"""What is erased is gone everywhere, does not come back by itself, and the log proves it."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from core.errors import Conflict, ContentErased, NotFound
from core.outcomes import DecisionOutcome
from core.roles import Role
from storage import audit, erasure, sweep, videos
from storage.engine import reading, transaction
from storage.objects.folder import FolderStore
from storage.people import accounts, claims, decisions
from storage.tables import AuditEvent, Base, Erasure, Video
from storage.videos import Seen
from tests.integration.storage.test_sweep import SETTINGS, named_by_rows

SHA256 = "0" * 64
# What may stay: who there is, which models there were, and that something was erased.
STAYS = {"account", "model_version", "audit_event", "erasure", "alembic_version", "schema_contract"}


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "objects")


def rows(engine: Engine) -> dict[str, int]:
    with reading(engine) as session:
        counted = {
            table.name: session.scalar(select(func.count()).select_from(table)) or 0
            for table in Base.metadata.sorted_tables
        }
    return {name: count for name, count in counted.items() if count and name not in STAYS}


def looked_at(engine: Engine) -> None:
    """Everything that people leave: sightings, a claim, a skip, a decision."""
    with transaction(engine) as session:
        for name in ("a.mp4", "copy.mp4"):
            videos.sight(session, Seen(source="bucket:/x", name=name, size_bytes=5, mtime_ns=1), video_id=1)
        anna = accounts.add(
            session, name="anna", role=Role.SERVICE, password_hash=None, actor="test", must_change=False
        ).id
        ben = accounts.add(
            session, name="ben", role=Role.SERVICE, password_hash=None, actor="test", must_change=False
        ).id
        decisions.decide(
            session, video_id=1, account_id=anna, outcome=DecisionOutcome.UNSURE, reason=None, note="who?"
        )
        claims.skip(session, video_id=1, account_id=ben)


def test_nothing_is_left_but_the_hash_and_the_proof(engine: Engine, store: FolderStore) -> None:
    keys = named_by_rows(engine, store)
    looked_at(engine)
    assert {"video", "screening", "sighting", "decision", "review_skip", "explanation"} <= set(rows(engine))
    gone = erasure.erase(engine, store, 1, reason="asked by the person shown", actor="root")
    assert (gone.sha256, gone.screenings, gone.objects) == (SHA256, 1, 5)
    assert rows(engine) == {}
    assert not any(store.exists(key) for key in keys.values())
    with reading(engine) as session:
        last = session.scalars(select(AuditEvent).order_by(AuditEvent.id.desc()).limit(1)).one()
        assert (last.action, last.subject, last.actor) == ("video.erased", SHA256, "root")
        assert last.detail["reason"] == "asked by the person shown"
        assert audit.verify(session).broken_at is None
        with pytest.raises(ContentErased, match=SHA256):
            erasure.refuse_erased(session, SHA256, "a.mp4")
    found = sweep.look(engine, store, SETTINGS)
    assert (found.objects, found.missing) == (0, 0)
    with pytest.raises(NotFound):
        erasure.erase(engine, store, 1, reason="again", actor="root")


def test_an_object_that_another_row_names_stays(engine: Engine, store: FolderStore) -> None:
    keys = named_by_rows(engine, store)
    with transaction(engine) as session:
        session.add(Video(sha256="1" * 64, size_bytes=5, media_kind="image", object_key=keys["crop"]))
    erasure.erase(engine, store, 1, reason="r", actor="root")
    assert [name for name, key in keys.items() if store.exists(key)] == ["crop"]


def test_the_pictures_of_another_file_of_the_same_footage_stay(engine: Engine, store: FolderStore) -> None:
    named_by_rows(engine, store)
    keys = named_by_rows(engine, store, "the same, in another container")
    with transaction(engine) as session:
        erasure.hold(session, 2, reason="case 7", actor="root")
    assert erasure.erase(engine, store, 1, reason="r", actor="root").objects == 1, "its file alone"
    assert [name for name, key in keys.items() if not store.exists(key)] == []
    with transaction(engine) as session:
        erasure.hold(session, 2, reason=None, actor="root")
    assert erasure.erase(engine, store, 2, reason="r", actor="root").objects == 5


def test_a_held_video_is_erased_by_nobody_until_the_hold_is_lifted(
    engine: Engine, store: FolderStore
) -> None:
    named_by_rows(engine, store)
    with transaction(engine) as session:
        erasure.hold(session, 1, reason="case 12/26", actor="root")
    before = rows(engine)
    with pytest.raises(Conflict, match="case 12/26"):
        erasure.erase(engine, store, 1, reason="r", actor="root")
    assert rows(engine) == before
    with transaction(engine) as session:
        assert erasure.kept(session, 1).hold == "case 12/26"
        with pytest.raises(Conflict, match="case 12/26"):  # or lifting case 13 would free what case 12 keeps
            erasure.hold(session, 1, reason="case 13/26", actor="root")
        for _ in range(2):
            erasure.hold(session, 1, reason=None, actor="root")
    with reading(engine) as session:
        said = [each.action for each in audit.page(session, actor="root")]
        assert said == ["video.released", "video.held"]
    erasure.erase(engine, store, 1, reason="r", actor="root")
    assert rows(engine) == {}


def test_erased_content_may_be_readmitted(engine: Engine, store: FolderStore) -> None:
    named_by_rows(engine, store)
    erasure.erase(engine, store, 1, reason="r", actor="root")
    seen = Seen(source="bucket:/x", name="a.mp4", size_bytes=5, mtime_ns=1)
    with transaction(engine) as session:
        videos.refuse(session, seen, code=ContentErased.code, message="m")
    with transaction(engine) as session:
        erasure.readmit(session, SHA256, actor="root")
    with transaction(engine) as session:
        erasure.refuse_erased(session, SHA256, "a.mp4")
        assert list(videos.seen_in(session, "bucket:/x")) == [], "the next look takes the file in"
        assert session.scalar(select(func.count()).select_from(Erasure)) == 0
        with pytest.raises(NotFound):
            erasure.readmit(session, SHA256, actor="root")


def test_of_a_source_those_seen_there_alone_are_meant(engine: Engine) -> None:
    sightings: dict[int, list[Any]] = {1: ["s3://a"], 2: ["s3://a", "s3://b"], 3: ["s3://b"], 4: ["s3://a"]}
    with transaction(engine) as session:
        for number, sources in sightings.items():
            session.add(
                Video(id=number, sha256=f"{number:064}", size_bytes=1, media_kind="video", object_key="k")
            )
            session.flush()
            for source in sources:
                videos.sight(
                    session, Seen(source=source, name="n", size_bytes=number, mtime_ns=1), video_id=number
                )
    with reading(engine) as session:
        assert erasure.of_source(session, "s3://a") == [1, 4]
        assert erasure.of_source(session, "s3://c") == []
