"""What a decoder that was taken over cannot do: tried in the real decoder process, as root and as another."""

import json
import os
import pwd
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.errors import BrokenMedia
from core.settings import DecodeSettings, SamplingSettings
from worker.decoder.reader import VideoReader

PROBE = Path(__file__).with_name("decoder_probe.py")
CONTENT = b"\x89PNG\r\n\x1a\n" + bytes(100)  # what the real decoder takes for a picture

EPERM, ENOSYS = "errno 1", "errno 38"

# Attempts that succeed where there is no lock-down, so that a refusal shows the sandbox and no mistake.
CONTROL = (
    *("stat", "open", "open to write", "list", "chmod", "truncate", "mkdir", "rmdir", "rename", "unlink"),
    *("connect", "memfd_create", "shared memory of System V", "fork", "clone", "is another there", "kill"),
    *("statx", "openat2", "getcwd", "memory made executable", "posix_spawn"),
)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What is there to be harmed."""

    folder: Path
    victim: "subprocess.Popen[bytes]"
    port: int
    user: int  # whose all of it is

    def decode(self, how: str) -> dict[str, Any]:
        targets = {
            "folder": str(self.folder),
            "victim": self.victim.pid,
            "port": self.port,
            "control": CONTROL,
        }
        become = -1 if self.user == os.getuid() else self.user
        command = [sys.executable, "-I", "-B", str(PROBE), str(become), how, json.dumps(targets)]
        with (
            pytest.raises(BrokenMedia) as caught,
            VideoReader(self.folder / "file", DecodeSettings(), SamplingSettings(), command=command),
        ):
            pass
        told: dict[str, Any] = json.loads(caught.value.fields["reason"])
        assert told["user"] == self.user
        return told


def users() -> list[Any]:
    if os.getuid() != 0:
        return [pytest.param(os.getuid(), id="the current user")]
    return [pytest.param(0, id="root"), pytest.param(pwd.getpwnam("nobody").pw_uid, id="nobody")]


@pytest.fixture(params=users())
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    user = request.param
    # Not below pytest's own folder, which is closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="facewarden-sandbox-"))
    file = folder / "file"
    file.write_bytes(CONTENT)
    (folder / "empty").mkdir()
    file.chmod(0o644)
    for path in (folder, folder / "empty", file):
        os.chown(path, user, -1)
    victim = subprocess.Popen(["sleep", "300"], user=user if user != os.getuid() else None)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Scene(folder=folder, victim=victim, port=server.getsockname()[1], user=user)
    victim.kill()
    victim.wait()
    shutil.rmtree(folder)


def test_without_the_lock_down_the_attempts_succeed(scene: Scene) -> None:
    assert scene.decode("open")["outcomes"] == dict.fromkeys(CONTROL, "done")
    assert not (scene.folder / "file").exists()
    assert scene.victim.wait(timeout=60) < 0


def test_nothing_works_and_nothing_is_changed(scene: Scene) -> None:
    told = scene.decode("locked")
    # The C library takes `clone` for a thread where it hears that there is no `clone3`.
    expected = dict.fromkeys(told["outcomes"], EPERM) | {"clone3": ENOSYS}
    assert told["outcomes"] == expected
    assert len(expected) > 70
    assert told["strangers"] == []
    assert set(told["possible"].values()) == {"done"}

    assert sorted(path.name for path in scene.folder.iterdir()) == ["empty", "file"]
    status = (scene.folder / "file").stat()
    assert stat.S_IMODE(status.st_mode) == 0o644
    assert status.st_mtime > 0
    assert (scene.folder / "file").read_bytes() == CONTENT
    assert scene.victim.poll() is None
