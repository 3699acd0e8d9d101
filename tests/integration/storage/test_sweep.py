"""What no row names is removed, what a row names never is, and what is missing is told."""

import contextlib
import os
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import Engine

from core.errors import Conflict
from core.outcomes import ExplanationMethod, MediaKind
from core.settings import SweepSettings
from storage import explanations, screenings, sweep, videos
from storage.engine import transaction
from storage.leases import Ticket
from storage.objects.folder import FolderStore
from storage.objects.store import INCOMING
from storage.results import complete
from storage.tables import Base
from tests.screening_results import explanation_result, register_model, screening_result

DAY = 24 * 3600.0
SETTINGS = SweepSettings()


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "objects")


def aged(store: FolderStore, key: str, seconds: float = 2 * DAY) -> str:
    then = time.time() - seconds
    os.utime(store.path(key), (then, then))
    return key


def put(store: FolderStore, content: bytes, suffix: str = "") -> str:
    return aged(store, store.put_bytes(content, suffix))


def named_by_rows(engine: Engine, store: FolderStore, video: str = "video") -> dict[str, str]:
    """One object in each place where a row names one; only that of the `video` is another each time."""
    keys = {name: put(store, name.encode()) for name in ("image", "crop", "overlay", "poster")}
    keys["video"] = put(store, video.encode())
    with transaction(engine) as session:
        video_id, _ = videos.add(
            session,
            sha256=("0" if video == "video" else "1") * 64,
            size_bytes=5,
            media_kind=MediaKind.VIDEO,
            object_key=keys["video"],
        )
        register_model(session, "m")
        ticket = screenings.request(session, video_id=video_id, model_version_id="m")
        assert ticket is not None
        claimed = screenings.LEASES.claim(session, ticket, owner="w", lease_seconds=60)
        assert claimed is not None
        result = screening_result(image_key=keys["image"], crop_key=keys["crop"], poster_key=keys["poster"])
        (flagged,) = complete(session, claimed, result)
        explaining = explanations.LEASES.claim(
            session, Ticket(row_id=flagged, attempt=1), owner="w", lease_seconds=60
        )
        assert explaining is not None
        found = explanation_result(ExplanationMethod.GRAD_CAM, overlays={"heat": keys["overlay"]})
        explanations.store(session, explaining, found)
    return keys


def test_only_old_objects_without_a_row_go(engine: Engine, store: FolderStore) -> None:
    kept = named_by_rows(engine, store)
    orphans = [put(store, f"orphan {number}".encode(), ".png") for number in range(3)]
    young = store.put_bytes(b"its row is still on its way")
    strange = store.path(young).with_name("somebody's notes.txt")
    strange.write_text("not ours")
    half = store.path(young).parent.parent / f"{INCOMING}x"
    half.write_bytes(b"half")
    os.utime(half, (0, 0))
    found = sweep.look(engine, store, SETTINGS)
    assert (found.objects, found.orphans, found.orphan_bytes) == (9, 3, 3 * len(b"orphan 0"))
    assert (found.half_written, found.missing) == (1, 0)
    assert all(store.exists(key) for key in orphans), "a look removes nothing"
    swept = sweep.sweep(engine, store, SETTINGS)
    assert (swept.found, swept.removed, swept.removed_bytes) == (found, 3, found.orphan_bytes)
    assert not any(store.exists(key) for key in orphans)
    assert all(store.exists(key) for key in [*kept.values(), young])
    assert strange.exists()
    assert not half.exists()
    again = sweep.sweep(engine, store, SETTINGS)
    assert (again.removed, again.found.objects) == (0, 6)


def test_rows_whose_object_is_gone_are_told(engine: Engine, store: FolderStore) -> None:
    keys = named_by_rows(engine, store)
    for name in ("video", "overlay"):
        store.path(keys[name]).unlink()
    found = sweep.look(engine, store, SETTINGS)
    assert found.missing == 2
    assert sorted(found.examples) == sorted(
        [f"{keys['video']} of video 1", f"{keys['overlay']} of explanation 1"]
    )


def test_every_column_that_names_objects_is_known_to_the_sweep() -> None:
    """Else the sweep would remove what only that column names."""
    known = {(table.__tablename__, column) for table, columns in sweep.COLUMNS.items() for column in columns}
    named = {
        (table.name, column.name)
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if column.name.endswith(("_key", "_keys", "overlays"))
    }
    assert known == named


def test_another_databases_objects_are_not_removed(engine: Engine, store: FolderStore) -> None:
    strangers = [put(store, f"stranger {number}".encode()) for number in range(30)]
    with pytest.raises(Conflict, match="FACEWARDEN_DATABASE_URL"):
        sweep.sweep(engine, store, SETTINGS)  # a new database names none of them
    named_by_rows(engine, store)
    with pytest.raises(Conflict, match="30 objects of 35"):
        sweep.sweep(engine, store, SETTINGS)
    assert all(store.exists(key) for key in strangers)
    assert sweep.sweep(engine, store, SETTINGS, force=True).removed == 30


def test_an_object_that_is_stored_again_while_it_is_swept_stays(engine: Engine, store: FolderStore) -> None:
    """The sweep has found it without a row; then its content comes in once more."""
    named_by_rows(engine, store)
    key = put(store, b"comes again")
    oldest = store.now() - DAY
    assert store.put_bytes(b"comes again") == key
    assert store.discard(key, older_than=oldest) is None
    assert store.exists(key)


def test_stores_and_removals_at_once_never_lose_what_was_stored(store: FolderStore) -> None:
    """However they interleave: once `put_bytes` has returned, the object is there and stays."""
    key = store.put_bytes(b"the same content")
    ended, lost = threading.Event(), 0

    def sweeping() -> None:
        while not ended.is_set():
            if store.exists(key):
                # As old as the sweep believes it to be, unless it is stored anew in between.
                store.discard(key, older_than=time.time() - 3600)

    sweeper = threading.Thread(target=sweeping)
    sweeper.start()
    try:
        for _ in range(200):
            with contextlib.suppress(FileNotFoundError):  # it was removed: the sweep's right until now
                aged(store, key, 7200)
            store.put_bytes(b"the same content")
            lost += not store.exists(key)
    finally:
        ended.set()
        sweeper.join()
    assert lost == 0


def test_a_row_that_came_meanwhile_saves_its_object(
    engine: Engine, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = put(store, b"video")
    others = [put(store, f"orphan {number}".encode()) for number in range(2)]
    put(store, b"a third orphan")
    with transaction(engine) as session:
        videos.add(
            session,
            sha256="2" * 64,
            size_bytes=5,
            media_kind=MediaKind.VIDEO,
            object_key=put(store, b"another video"),
        )
    report = sweep._report

    def rows_come(found: sweep.Findings) -> None:
        report(found)
        assert found.orphans == 4
        with transaction(engine) as session:
            videos.add(session, sha256="1" * 64, size_bytes=5, media_kind=MediaKind.VIDEO, object_key=key)

    monkeypatch.setattr(sweep, "_report", rows_come)
    assert sweep.sweep(engine, store, SETTINGS).removed == 3
    assert store.exists(key)
    assert not any(store.exists(each) for each in others)


def test_many_pages_are_compared_with_bounded_memory(
    engine: Engine, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "PAGE", 7)
    keys = [put(store, f"{number}".encode()) for number in range(50)]
    with transaction(engine) as session:
        for number, key in enumerate(keys[:40]):
            videos.add(
                session,
                sha256=f"{number:064}",
                size_bytes=1,
                media_kind=MediaKind.VIDEO,
                object_key=key,
            )
    found = sweep.look(engine, store, SETTINGS)
    assert (found.objects, found.orphans, found.missing) == (50, 10, 0)
    assert sweep.sweep(engine, store, SETTINGS).removed == 10


def test_it_ends_when_told(engine: Engine, store: FolderStore) -> None:
    named_by_rows(engine, store)

    class Stop(Exception):
        pass

    def heartbeat() -> None:
        raise Stop

    with pytest.raises(Stop):
        sweep.look(engine, store, SETTINGS, heartbeat=heartbeat)
