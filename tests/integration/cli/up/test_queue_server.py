"""The real server on files that were damaged, cut off or forbidden, and on a full disk."""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from redis import Redis

from cli.up import queue_server
from cli.up.queue_server import Cause
from cli.up.supervisor import Supervisor
from core.errors import QueueServerFailed
from core.settings import Settings

KEYS = 300
NOBODY = 65534


def damage_the_middle(folder: Path) -> None:
    (log,) = folder.glob("*.incr.aof")
    content = bytearray(log.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = b"\x00garbage" * 5
    log.write_bytes(content)


def append_an_unknown_command(folder: Path) -> None:
    (log,) = folder.glob("*.incr.aof")
    log.write_bytes(log.read_bytes() + b"*1\r\n$7\r\nGARBAGE\r\n")


def replace_the_base(folder: Path) -> None:
    (base,) = folder.glob("*.base.rdb")
    base.write_bytes(b"REDIS9999" + base.read_bytes()[9:])


def cut_the_base(folder: Path) -> None:
    (base,) = folder.glob("*.base.rdb")
    base.write_bytes(base.read_bytes()[:-200])


def flip_the_base(folder: Path) -> None:
    (base,) = folder.glob("*.base.rdb")
    content = bytearray(base.read_bytes())
    content[len(content) // 2] ^= 0xFF
    base.write_bytes(content)


def lose_the_log(folder: Path) -> None:
    (log,) = folder.glob("*.incr.aof")
    log.unlink()


def garble_the_manifest(folder: Path) -> None:
    (folder / "appendonly.aof.manifest").write_bytes(os.urandom(100))


@pytest.fixture
def supervisor(settings: Settings) -> Iterator[Supervisor]:
    made = Supervisor(settings)
    for folder in ("run", "logs"):
        (settings.home / folder).mkdir(parents=True)
    yield made
    made._end()


@pytest.fixture
def filled(settings: Settings, supervisor: Supervisor) -> Path:
    """The folder that a server left with a base and a log behind it, then killed."""
    supervisor._start_queue()
    with Redis.from_url(settings.queue_url) as connection:
        for number in range(KEYS):
            connection.set(f"base:{number}", f"value {number} " * 5)
        connection.bgrewriteaof()
        while connection.info("persistence")["aof_rewrite_in_progress"]:
            time.sleep(0.02)
        for number in range(KEYS):
            connection.set(f"log:{number}", f"value {number} " * 5)
    (child,) = supervisor.children
    assert child.process is not None
    child.process.kill()
    child.process.wait()
    supervisor.children.clear()
    return queue_server.files(settings) / "appendonlydir"


@pytest.mark.parametrize(
    "damage",
    [
        damage_the_middle,
        append_an_unknown_command,
        replace_the_base,
        cut_the_base,
        flip_the_base,
        lose_the_log,
        garble_the_manifest,
    ],
    ids=lambda damage: damage.__name__,
)
def test_damaged_files_are_set_aside_whole_and_the_queue_starts_empty(
    damage: Callable[[Path], None], filled: Path, settings: Settings, supervisor: Supervisor
) -> None:
    damage(filled)
    left = {path.name: path.read_bytes() for path in filled.iterdir()}
    with structlog.testing.capture_logs() as logs:
        supervisor._start_queue()
    with Redis.from_url(settings.queue_url) as connection:
        assert connection.dbsize() == 0
        connection.set("a", "b")
    (aside,) = queue_server.set_aside_before(settings)
    assert {path.name: path.read_bytes() for path in (aside / "appendonlydir").iterdir()} == left
    (said,) = [entry for entry in logs if entry["log_level"] == "error"]
    assert "DAMAGED" in said["event"]
    assert said["set_aside"] == str(aside)


def test_a_log_that_was_cut_off_loads_by_itself(
    filled: Path, settings: Settings, supervisor: Supervisor
) -> None:
    (log,) = filled.glob("*.incr.aof")
    log.write_bytes(log.read_bytes()[:-30])
    supervisor._start_queue()
    with Redis.from_url(settings.queue_url) as connection:
        assert connection.dbsize() == 2 * KEYS - 1
    assert queue_server.set_aside_before(settings) == []


def test_damage_that_comes_while_it_runs_is_mended_too(
    filled: Path, settings: Settings, supervisor: Supervisor
) -> None:
    supervisor._start_queue()
    (child,) = supervisor.children
    assert child.process is not None
    child.process.kill()
    child.process.wait()
    damage_the_middle(filled)
    with Redis.from_url(settings.queue_url) as connection:
        deadline = time.monotonic() + 60
        while not queue_server.answers(connection):
            assert time.monotonic() < deadline
            supervisor._tend()
            time.sleep(0.02)
        assert connection.dbsize() == 0
    assert len(queue_server.set_aside_before(settings)) == 1


def test_a_server_that_was_left_behind_is_stopped_before_a_second_writes_to_its_files(
    settings: Settings, supervisor: Supervisor
) -> None:
    stray = subprocess.Popen(queue_server.command(settings), stdout=subprocess.DEVNULL)
    try:
        with Redis.from_url(settings.queue_url) as connection:
            deadline = time.monotonic() + 60
            while not queue_server.answers(connection):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            connection.set("a", "b")
            supervisor._start_queue()
            assert stray.wait(60) == 0
            assert connection.get("a") == b"b"
    finally:
        stray.kill()
        stray.wait()


def test_a_missing_right_is_no_damage(filled: Path, settings: Settings, tmp_path: Path) -> None:
    folder = queue_server.files(settings)
    manifest = filled / "appendonly.aof.manifest"
    manifest.chmod(0)
    # Root may read everything; another user may not even enter the tests' folder.
    failure = run_into(folder, tmp_path, user=NOBODY if os.geteuid() == 0 else None)
    assert failure.cause is Cause.FORBIDDEN
    assert "permission to read and write" in failure.remedy(folder)


def test_a_full_disk_is_no_damage(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "small disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a disk of our own to fill can only be mounted by root")
    try:
        with contextlib.suppress(OSError):
            (folder / "ballast").write_bytes(bytes(100 * 1024))
        failure = run_into(folder, tmp_path)
    finally:
        subprocess.run(["umount", str(folder)], check=True)
    assert failure.cause is Cause.FULL
    assert "Free space" in failure.remedy(folder)


def run_into(folder: Path, tmp_path: Path, user: int | None = None) -> queue_server.Failure:
    """Why the real server, started on `folder`, ends by itself."""
    options = {"port": "0", "dir": str(folder), "appendonly": "yes", "save": ""}
    words = tmp_path / "valkey.log"
    with words.open("wb") as output:
        code = subprocess.run(
            [str(queue_server.get_binary_path()), *(w for k, v in options.items() for w in (f"--{k}", v))],
            stdout=output,
            stderr=output,
            timeout=60,
            check=False,
            user=user,
        ).returncode
    failure = queue_server.failure(words.read_text(), code, folder)
    assert failure is not None
    return failure


def test_what_people_must_mend_is_told_with_its_remedy_and_nothing_is_moved(
    settings: Settings, supervisor: Supervisor
) -> None:
    folder = queue_server.files(settings)
    folder.mkdir(parents=True)
    (folder / "appendonlydir").write_text("somebody's file")
    with pytest.raises(QueueServerFailed, match=r"valkey\.log"):
        supervisor._start_queue()
    assert (folder / "appendonlydir").read_text() == "somebody's file"
    assert queue_server.set_aside_before(settings) == []
