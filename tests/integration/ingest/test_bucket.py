"""The bucket: what is taken, what is left, and what a restart does not do again."""

import os
from pathlib import Path
from typing import Any

import pytest

from core.errors import ServiceUnavailable
from ingest import bucket
from ingest.registration import Intake, Receipt, Registrar
from ingest.source import untaken
from storage.engine import connect, transaction
from tests.integration.ingest.site import LATER, MP4, SECOND, Site, ingested


def test_sub_folders_and_names_of_every_kind_are_taken(site: Site) -> None:
    names = [
        "a.mp4",
        "deep/er/b.mp4",
        "ünïcode 😀.mp4",
        "new\nline.mp4",
        os.fsdecode(b"latin-\xe9.mp4"),
        "x\\y",
    ]
    for number, name in enumerate(names):
        path = site.bucket / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(MP4 + bytes([number]))
    before = {path: path.stat() for path in site.bucket.rglob("*") if path.is_file()}
    assert {receipt.intake for receipt in site.take()} == {Intake.QUEUED}
    assert {sighting.name for sighting in site.sightings()} == {
        "a.mp4",
        "deep/er/b.mp4",
        "ünïcode 😀.mp4",
        "new\nline.mp4",
        "latin-\\xe9.mp4",
        "x\\\\y",
    }
    assert site.depth() == len(names)
    after = {path: path.stat() for path in site.bucket.rglob("*") if path.is_file()}
    assert {p: (s.st_mtime_ns, s.st_ctime_ns, s.st_ino) for p, s in before.items()} == {
        p: (s.st_mtime_ns, s.st_ctime_ns, s.st_ino) for p, s in after.items()
    }


def test_unfinished_and_hidden_files_are_left_alone(site: Site) -> None:
    for name in (".hidden.mp4", "a.mp4.part", "b.tmp", "c.crdownload", "d.mp4~"):
        (site.bucket / name).write_bytes(MP4)
    (site.bucket / ".folder").mkdir()
    (site.bucket / ".folder" / "e.mp4").write_bytes(MP4)
    assert not site.take()
    (site.bucket / "a.mp4.part").rename(site.bucket / "a.mp4")
    assert [receipt.name for receipt in site.take()] == ["a.mp4"]


NAS = [
    "@eaDir/a.mp4/SYNOVIDEO_VIDEO_SCREENSHOT.jpg",
    "#recycle/a.mp4",
    ".Trash-1000/files/a.mp4",
    "Thumbs.db",
    "THUMBS.DB",
    "desktop.ini",
    ".DS_Store",
    "a.mp4.!qB",
    "a.mp4.aria2",
    "a.mp4.part",
    "a.mp4.part3",
    "a.mp4.crdownload",
    "a.tmp",
    "~$a.docx",
    "a.srt",
    "a.EN.SRT",
    "a.json",
    "a.jpg.xmp",
    "a.nfo",
]


def test_what_a_network_store_keeps_and_what_lies_beside_a_film_is_left_alone(site: Site) -> None:
    taken = ["@somebody.mp4", "film.part1.mp4", "party.mp4", "tmp/a.mp4", "a.json.mp4"]
    for number, name in enumerate((*NAS, *taken)):
        path = site.bucket / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(MP4 + bytes([number]))
    assert site.untaken() == len(taken)
    assert sorted(receipt.name for receipt in site.take()) == sorted(taken)
    assert {receipt.intake for receipt in ingested([site.bucket], site.registrar, site.settings)} == {
        Intake.KNOWN
    }
    # What a user names is meant, whatever its name.
    (receipt,) = ingested([site.bucket / "a.json"], site.registrar, site.settings)
    assert receipt.intake == Intake.QUEUED


def test_what_is_left_alone_is_a_setting(site: Site) -> None:
    ingest = site.settings.ingest.model_copy(update={"left_alone": "*.secret, Drafts"})
    settings = site.settings.model_copy(update={"ingest": ingest})
    for name in ("a.mp4", "b.SECRET", "drafts/c.mp4", "d.srt"):
        (site.bucket / name).parent.mkdir(exist_ok=True)
        (site.bucket / name).write_bytes(MP4)
    with transaction(site.engine) as session:
        assert untaken(session, settings) == 2


def test_a_file_that_still_grows_is_not_taken(site: Site) -> None:
    path, watcher = site.bucket / "a.mp4", site.watcher()
    for size in (100, 200, 300):
        path.write_bytes(MP4 + bytes(size))
        assert not list(watcher.look(LATER))
    assert [receipt.intake for receipt in watcher.look(LATER)] == [Intake.QUEUED]


def patient_watcher(site: Site) -> bucket.BucketWatcher:
    """One that takes a file after 5 seconds without a change."""
    ingest = site.settings.ingest.model_copy(update={"settle_seconds": 5.0})
    settings = site.settings.model_copy(update={"ingest": ingest})
    return bucket.BucketWatcher(settings, site.registrar, iter([]))


def test_a_young_file_waits_until_its_time_has_stood_still(site: Site) -> None:
    path = site.bucket / "a.mp4"
    path.write_bytes(MP4)
    written = path.stat().st_mtime_ns
    watcher = patient_watcher(site)
    for seconds in (1, 2, 4.9):
        assert not list(watcher.look(written + round(seconds * SECOND)))
    assert len(list(watcher.look(written + 5 * SECOND))) == 1


def test_a_file_from_the_future_is_taken_all_the_same(site: Site) -> None:
    path = site.bucket / "a.mp4"
    path.write_bytes(MP4)
    now = path.stat().st_mtime_ns
    os.utime(path, ns=(now, now + 86_400 * SECOND))
    watcher = patient_watcher(site)
    assert not list(watcher.look(now))
    assert not list(watcher.look(now + 4 * SECOND))
    assert len(list(watcher.look(now + 5 * SECOND))) == 1


def test_a_restart_reads_no_file_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.mp4", os.fsdecode(b"\xff.mp4"), "\\xff.mp4", "text.mp4"):
        (site.bucket / name).write_bytes(b"text" if name == "text.mp4" else MP4 + os.fsencode(name))
    (site.bucket / "link.mp4").symlink_to("/etc/passwd")
    assert len(site.take()) == 5

    def refuse(self: Registrar, path: Path, **keywords: Any) -> Receipt:
        raise AssertionError("a file was taken a second time")

    monkeypatch.setattr(Registrar, "register", refuse)
    assert not site.take()
    assert site.untaken() == 0


def test_new_content_under_an_old_name_is_taken(site: Site) -> None:
    watcher = site.watcher()
    (site.bucket / "a.mp4").write_bytes(MP4)
    site.take(watcher)
    (site.bucket / "a.mp4").write_bytes(MP4 + b"more")
    assert [receipt.intake for receipt in site.take(watcher)] == [Intake.QUEUED]


def test_links_to_folders_are_refused_not_followed(site: Site, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "film.mp4").write_bytes(MP4)
    (site.bucket / "out").symlink_to(tmp_path / "out")
    (site.bucket / "loop").symlink_to(site.bucket)
    assert {(receipt.name, receipt.error and receipt.error.code) for receipt in site.take()} == {
        ("out", "unsafe_path"),
        ("loop", "unsafe_path"),
    }


def test_a_file_that_fails_does_not_keep_the_others_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.mp4", "b.mp4"):
        (site.bucket / name).write_bytes(MP4 + name.encode())
    register = Registrar.register

    def fail_on_a(self: Registrar, path: Path, *, name: str, **keywords: Any) -> Receipt:
        if name == "a.mp4":
            raise RuntimeError("something nobody thought of")
        return register(self, path, name=name, **keywords)

    watcher = site.watcher()
    monkeypatch.setattr(Registrar, "register", fail_on_a)
    assert [receipt.name for receipt in site.take(watcher)] == ["b.mp4"]
    monkeypatch.undo()
    assert not list(watcher.look(LATER + 59 * SECOND))
    assert [receipt.name for receipt in watcher.look(LATER + 60 * SECOND)] == ["a.mp4"]


def test_an_outage_of_the_database_leaves_the_file_for_the_next_look(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    (site.bucket / "a.mp4").write_bytes(MP4)
    watcher = site.watcher()
    monkeypatch.setattr(site.registrar, "engine", connect("postgresql+psycopg://127.0.0.1:1/none"))
    with pytest.raises(ServiceUnavailable):
        site.take(watcher)
    monkeypatch.undo()
    assert [receipt.intake for receipt in watcher.look(LATER)] == [Intake.QUEUED]


def test_paths_that_a_user_names(site: Site, tmp_path: Path) -> None:
    films = tmp_path / "films"
    films.mkdir()
    (films / "a.mp4").write_bytes(MP4)
    (films / "out.mp4").symlink_to("/etc/passwd")
    (tmp_path / "shortcut").symlink_to(films)
    (tmp_path / "b.mp4").write_bytes(MP4 + b"b")
    receipts = ingested([tmp_path / "shortcut", tmp_path / "b.mp4"], site.registrar, site.settings)
    assert [(Path(receipt.name).name, receipt.intake) for receipt in receipts] == [
        ("a.mp4", Intake.QUEUED),
        ("out.mp4", Intake.REFUSED),
        ("b.mp4", Intake.QUEUED),
    ]
