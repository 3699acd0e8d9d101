"""What the queue server's last words mean, and where its damaged files go."""

import shutil
import signal
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from cli.up import queue_server
from cli.up.queue_server import Cause
from core.settings import Settings

STAMP = "17764:M 25 Nov 2026 18:47:17.809 # "


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("Bad file format reading the append only file a.incr.aof: make a backup of it", Cause.DAMAGED),
        ("Internal error in RDB reading offset 0, function at rdb.c:474 -> Invalid LZF", Cause.DAMAGED),
        (
            "Unable to obtain the AOF file a.incr.aof length. stat: No such file or directory",
            Cause.DAMAGED,
        ),
        ("Unable to obtain the AOF file a.incr.aof length. stat: Permission denied", Cause.FORBIDDEN),
        ("Write error writing append only file on disk: No space left on device", Cause.FULL),
        ("Can't open or create append-only dir appendonlydir: Disk quota exceeded", Cause.FULL),
        ("Error moving temp append only file on the final destination: Permission denied", Cause.FORBIDDEN),
        ("Failed opening Unix socket: bind: Address already in use", Cause.UNKNOWN),
        ("Unrecoverable error reading the append only file a.aof: Input/output error", Cause.UNKNOWN),
        ("Out Of Memory allocating 4096 bytes!", Cause.NO_MEMORY),
        ("*** FATAL CONFIG FILE ERROR (Version 9.1.2) ***", Cause.UNKNOWN),
    ],
)
def test_the_cause_is_read_from_its_last_words(line: str, cause: Cause, tmp_path: Path) -> None:
    words = f"{STAMP}Server initialized\n{STAMP}{line}\n"
    failure = queue_server.failure(words, 1, tmp_path)
    assert failure is not None
    assert failure.cause is cause
    assert failure.line.endswith(line)
    assert str(tmp_path) in failure.remedy(tmp_path) or cause is Cause.NO_MEMORY


def test_what_stands_in_the_way_of_the_files_comes_before_damage(tmp_path: Path) -> None:
    words = (
        f"{STAMP}Short read or OOM loading DB. Unrecoverable error\n{STAMP}write: No space left on device\n"
    )
    failure = queue_server.failure(words, 1, tmp_path)
    assert failure is not None
    assert failure.cause is Cause.FULL


def test_a_disk_that_has_no_room_for_last_words_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=4096))
    failure = queue_server.failure("", -signal.SIGABRT, tmp_path)
    assert failure is not None
    assert failure.cause is Cause.FULL


@pytest.mark.parametrize(
    ("code", "cause"),
    [(-signal.SIGSEGV, Cause.DAMAGED), (-signal.SIGKILL, Cause.UNKNOWN), (1, Cause.UNKNOWN)],
)
def test_a_crash_while_it_reads_is_the_files_fault_and_a_kill_is_not(
    code: int, cause: Cause, tmp_path: Path
) -> None:
    failure = queue_server.failure(f"{STAMP}Loading RDB\n", code, tmp_path)
    assert failure is not None
    assert failure.cause is cause


def test_a_server_that_had_been_ready_was_stopped_or_killed(tmp_path: Path) -> None:
    words = f"{STAMP}Ready to accept connections unix\n{STAMP}Wrong RDB checksum in a DEBUG RELOAD\n"
    assert queue_server.failure(words, -signal.SIGKILL, tmp_path) is None


def test_files_are_set_aside_under_the_date_and_never_over_others(settings: Settings) -> None:
    moment = datetime(2026, 11, 25, 18, 47, 17, tzinfo=UTC)
    for content in ("first", "second"):
        folder = queue_server.files(settings)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "a").write_text(content)
        queue_server.set_aside(settings, moment)
        assert list(queue_server.files(settings).iterdir()) == []
    aside = queue_server.set_aside_before(settings)
    assert [path.name for path in aside] == [
        "valkey-damaged-20261125T184717Z",
        "valkey-damaged-20261125T184717Z-2",
    ]
    assert [(path / "a").read_text() for path in aside] == ["first", "second"]
