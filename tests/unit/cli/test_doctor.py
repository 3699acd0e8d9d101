"""What `facewarden doctor` says of the machine it runs on."""

import json
from functools import partial

import pytest

from cli import doctor
from core.logs import configure
from core.settings import Settings
from tests.unit.worker.decoder.test_child import NO_SANDBOX
from worker.decoder.reader import VideoReader


def sandbox_rows(settings: Settings, capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[bool, str]]:
    configure(settings)  # as the command does: what is logged goes to stderr
    doctor.examine(settings, as_json=True)
    return {
        row["check"].removeprefix("sandbox: "): (row["healthy"], row["note"])
        for row in json.loads(capsys.readouterr().out)
        if row["check"].startswith("sandbox: ")
    }


def test_the_parts_of_the_sandbox(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    rows = sandbox_rows(settings, capsys)
    assert list(rows) == ["capabilities", "landlock", "seccomp"]
    assert rows["seccomp"][0]
    assert "system calls allowed" in rows["seccomp"][1]


def test_a_part_that_the_kernel_lacks(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "VideoReader", partial(VideoReader, command=NO_SANDBOX))
    rows = sandbox_rows(settings, capsys)
    assert rows["capabilities"] == (True, "none left")
    for part in ("landlock", "seccomp"):
        healthy, note = rows[part]
        assert not healthy
        assert "missing here (Function not implemented)" in note
