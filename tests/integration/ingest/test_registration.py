"""One file taken in: stored, hashed, committed, enqueued; or refused with its reason."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from core import gate, queues
from core.errors import ServiceUnavailable
from core.outcomes import ScreeningStatus
from core.priorities import Priority
from core.settings import IngestSettings
from ingest import registration
from ingest.reconciler import Reconciler
from ingest.registration import Intake, Receipt, Registrar
from storage import videos
from storage.engine import connect, transaction
from storage.migrate import upgrade
from storage.objects.folder import FolderStore
from storage.tables import Screening, Sighting, Video
from tests.integration.ingest.site import MP4, Site


def test_a_file_is_stored_committed_and_enqueued(site: Site) -> None:
    (site.bucket / "a.mp4").write_bytes(MP4)
    receipt = site.register("a.mp4")
    assert receipt.intake == Intake.QUEUED
    assert receipt.sha256 is not None
    assert site.objects.read(f"{receipt.sha256[:2]}/{receipt.sha256[2:]}") == MP4
    assert [(s.status, s.attempt) for s in site.screenings()] == [(ScreeningStatus.QUEUED, 1)]
    assert site.depth() == 1
    assert (site.bucket / "a.mp4").read_bytes() == MP4


def test_the_same_content_under_another_name_is_a_second_sighting(site: Site) -> None:
    for name in ("a.mp4", "b.mov"):
        (site.bucket / name).write_bytes(MP4)
    assert [site.register(name).intake for name in ("a.mp4", "b.mov")] == [Intake.QUEUED, Intake.KNOWN]
    assert len({sighting.video_id for sighting in site.sightings()}) == 1
    assert len(site.sightings()) == 2
    assert len(site.screenings()) == 1
    assert site.depth() == 1


def test_what_waits_goes_on_with_a_higher_priority_and_never_a_lower_one(site: Site) -> None:
    (site.bucket / "a.mp4").write_bytes(MP4)
    assert site.register("a.mp4", priority=Priority.BACKFILL).intake == Intake.QUEUED
    assert site.register("a.mp4", source="upload", priority=Priority.INTERACTIVE).intake == Intake.KNOWN
    assert site.register("a.mp4", source="again", priority=Priority.NORMAL).intake == Intake.KNOWN
    assert queues.depths(site.redis, queues.SCREEN) == {
        Priority.INTERACTIVE: 1,
        Priority.NORMAL: 0,
        Priority.BACKFILL: 1,  # a job of the attempt before, which finds nothing to do
    }
    (row,) = site.screenings()
    assert (row.priority, row.status, row.attempt, row.failures) == ("interactive", "queued", 2, 0)
    assert Reconciler(site.settings, site.engine).run_once().enqueued == 0


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "empty_file"), (b"no film", "not_media"), (b"#EXTM3U\n/etc/passwd", "not_media")],
)
def test_what_is_no_media_is_stored_with_its_reason(site: Site, content: bytes, code: str) -> None:
    (site.bucket / "text.mp4").write_bytes(content)
    receipt = site.register("text.mp4")
    assert receipt.intake == Intake.FAILED
    (screening,) = site.screenings()
    assert (screening.status, screening.error_code) == (ScreeningStatus.FAILED, code)
    assert (screening.error_message or "").startswith("text.mp4: ")
    assert site.depth() == 0


def test_a_link_out_of_the_bucket_is_refused_and_not_read(site: Site, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "film.mp4").write_bytes(MP4)
    (site.bucket / "link.mp4").symlink_to(secret / "film.mp4")
    (site.bucket / "folder").symlink_to(secret)
    for name in ("link.mp4", "folder", "folder/film.mp4"):
        receipt = site.register(name)
        assert receipt.error is not None
        assert receipt.error.code == "unsafe_path"
    assert [sighting.error_code for sighting in site.sightings()] == ["unsafe_path"] * 3
    assert not site.screenings()


def test_pipes_sockets_and_devices_are_refused_without_waiting(site: Site) -> None:
    os.mkfifo(site.bucket / "pipe.mp4")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(site.bucket)  # the path of a socket must be short
        try:
            server.bind("socket.mp4")
        finally:
            os.chdir(here)
    for name in ("pipe.mp4", "socket.mp4"):
        receipt = site.register(name)
        assert receipt.error is not None
        assert (receipt.intake, receipt.error.code) == (Intake.REFUSED, "unsafe_path")
    device = site.registrar.register(Path("/dev/null"), name="null", source="test")
    assert device.error is not None
    assert device.error.code == "unsafe_path"


def test_a_file_that_is_gone_says_so(site: Site) -> None:
    receipt = site.register("gone.mp4")
    assert receipt.error is not None
    assert receipt.error.code == "file_vanished"
    assert [sighting.error_code for sighting in site.sightings()] == ["file_vanished"]


def test_a_file_above_the_limit_is_not_copied(site: Site) -> None:
    settings = site.settings.model_copy(update={"ingest": IngestSettings(max_file_bytes=100)})
    (site.bucket / "big.mp4").write_bytes(MP4)
    receipt = Registrar(settings, site.engine, site.objects).register(
        site.bucket / "big.mp4", name="big.mp4", source="test"
    )
    assert receipt.error is not None
    assert receipt.error.code == "media_too_large"
    assert not site.settings.objects_folder.exists()


@pytest.mark.parametrize("change", ["grow", "touch"])
def test_a_file_that_changes_while_it_is_read_waits_and_leaves_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    path = site.bucket / "a.mp4"
    path.write_bytes(MP4)
    pieces = registration._pieces

    def change_and_read(file: BinaryIO, size_bytes: int, name: str) -> Iterator[bytes]:
        if change == "grow":
            with path.open("ab") as writer:
                writer.write(MP4)
        else:
            os.utime(path, ns=(1, 1))
        return pieces(file, size_bytes, name)

    monkeypatch.setattr(registration, "_pieces", change_and_read)
    assert site.register("a.mp4").intake == Intake.UNSETTLED
    assert not [path for path in site.settings.objects_folder.rglob("*") if path.is_file()]
    assert not site.sightings()
    monkeypatch.undo()
    assert site.register("a.mp4").intake == Intake.QUEUED


def test_a_disk_that_cannot_read_the_file_is_the_files_trouble(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    (site.bucket / "a.mp4").write_bytes(MP4)

    def open_broken(path: Path, **keywords: object) -> BinaryIO:
        # The memory of this process is a regular file that cannot be read at its beginning: as on a bad disk.
        return open("/proc/self/mem", "rb", buffering=0)  # noqa: PTH123

    monkeypatch.setattr(gate, "open_regular", open_broken)
    receipt = site.register("a.mp4")
    assert receipt.error is not None
    assert receipt.error.code == "unreadable"
    assert not [path for path in site.settings.objects_folder.rglob("*") if path.is_file()]


def test_a_known_refusal_is_taken_back_once_the_file_can_be_had(site: Site) -> None:
    path = site.bucket / "a.mp4"
    path.write_bytes(MP4)
    status = path.stat()
    seen = videos.Seen(source="test", name="a.mp4", size_bytes=status.st_size, mtime_ns=status.st_mtime_ns)
    with transaction(site.engine) as session:
        videos.refuse(session, seen, code="unreadable", message="x")
    assert site.register("a.mp4").intake == Intake.QUEUED
    (sighting,) = site.sightings()
    assert sighting.error_code is None
    assert sighting.video_id is not None


def test_without_redis_the_commit_stands_and_the_reconciler_enqueues(site: Site) -> None:
    away = site.settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1/0")})
    registrar = Registrar(away, site.engine, site.objects)
    for number in range(3):
        path = site.bucket / f"{number}.mp4"
        path.write_bytes(MP4 + bytes([number]))
        assert registrar.register(path, name=path.name, source="test").intake == Intake.QUEUED
    assert site.depth() == 0
    assert Reconciler(site.settings, site.engine).run_once().enqueued == 3
    assert site.depth() == 3


def test_without_the_database_nothing_is_lost(site: Site) -> None:
    (site.bucket / "a.mp4").write_bytes(MP4)
    away = Registrar(site.settings, connect("postgresql+psycopg://127.0.0.1:1/none"), site.objects)
    with pytest.raises(ServiceUnavailable, match="FACEWARDEN_DATABASE_URL"):
        away.register(site.bucket / "a.mp4", name="a.mp4", source="test")
    assert site.register("a.mp4").intake == Intake.QUEUED


def test_the_same_content_by_many_at_once_is_one_video(site: Site, postgres_url: str) -> None:
    """On PostgreSQL several processes can look for the content before any has written it."""
    engine = connect(postgres_url)
    upgrade(engine)
    with transaction(engine) as session:
        for table in (Screening, Sighting, Video):
            session.query(table).delete()
    receipts: list[Receipt] = []
    ready = threading.Barrier(6)

    def take(number: int) -> None:
        path = site.bucket / f"{number}.mp4"
        path.write_bytes(MP4)
        registrar = Registrar(site.settings, engine, FolderStore(site.settings.objects_folder))
        ready.wait()
        receipts.append(registrar.register(path, name=path.name, source="race"))

    threads = [threading.Thread(target=take, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(receipt.intake for receipt in receipts) == [Intake.KNOWN] * 5 + [Intake.QUEUED]
    with transaction(engine) as session:
        assert session.scalar(select(func.count()).select_from(Video)) == 1
        assert session.scalar(select(func.count()).select_from(Screening)) == 1
        assert session.scalar(select(func.count()).select_from(Sighting)) == 6
        for table in (Screening, Sighting, Video):
            session.query(table).delete()
    engine.dispose()


def test_the_screening_names_the_checkpoint_that_is_in_force(site: Site) -> None:
    (site.bucket / "a.mp4").write_bytes(MP4)
    site.register("a.mp4")
    (screening,) = site.screenings()
    assert screening.model_version_id.startswith("smallcnn-")
