"""Telling one process from another, and reaping."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from cli.up.supervisor import THIS, Supervisor, read_children, reap, start_time
from core.errors import SettingsError
from core.settings import ReviewSettings, Settings
from tests.waiting import ended


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)


def test_a_leftover_is_killed(tmp_path: Path) -> None:
    process = sleeper()
    state = tmp_path / "children.json"
    state.write_text(json.dumps({"valkey": {"pid": process.pid, "start": start_time(process.pid)}}))
    assert list(read_children(state)) == ["valkey"]
    reap(state)
    assert ended(process) == -9
    assert not state.exists()


def test_a_stranger_with_the_same_pid_is_left_alone(tmp_path: Path) -> None:
    process = sleeper()
    try:
        state = tmp_path / "children.json"
        state.write_text(json.dumps({"valkey": {"pid": process.pid, "start": "1"}}))
        reap(state)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_a_damaged_state_file_names_nobody(tmp_path: Path) -> None:
    (tmp_path / "children.json").write_text("{")
    assert read_children(tmp_path / "children.json") == {}
    assert start_time(os.getpid()) is not None
    assert start_time(2**22 + 1) is None


def test_a_zombie_has_ended() -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    try:
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        assert start_time(process.pid) is None
    finally:
        process.wait()


def test_a_port_that_another_program_holds_is_named_before_anything_starts(settings: Settings) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = settings.model_copy(update={"review": ReviewSettings(port=other.getsockname()[1])})
        supervisor = Supervisor(taken)
        with pytest.raises(SettingsError, match="FACEWARDEN_REVIEW__PORT"):
            supervisor._prepare(reviewed=True)
        assert supervisor.children == []
        assert supervisor._lock is not None
        supervisor._lock.close()


def test_children_are_ours_whatever_lies_in_the_users_folder(tmp_path: Path) -> None:
    for name in ("cli", "core", "models"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('the wrong one')")
    ended = subprocess.run([*THIS, "--version"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.stdout.startswith("facewarden "), ended.stderr
