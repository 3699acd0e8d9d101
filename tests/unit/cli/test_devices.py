"""A worker process for each device."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from cli.devices import device_list
from tests.waiting import ended, until

ROOT = Path(__file__).resolve().parents[3]
# A worker that notes its device, is recycled once, and then works until it is told to stop.
WORKER = """
import os, signal, sys
from pathlib import Path
device = os.environ["FACEWARDEN_DEVICE"] + os.environ["CUDA_VISIBLE_DEVICES"]
starts = Path(sys.argv[1], device)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
with starts.open("a") as file:
    file.write("x")
if starts.read_text() == "x":
    sys.exit(75)
signal.pause()
"""
CREW = """
import sys
from cli.devices import DeviceCrew
sys.exit(DeviceCrew(["2", "3", "cpu"], [sys.argv[2]], [sys.executable, "-c", sys.argv[1]]).run())
"""


def test_devices_are_numbers_within_what_is_visible_and_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert device_list("0, 1,cpu", lambda: 2) == ["0", "1", "cpu"]
    assert device_list("all", lambda: 2) == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a, 3")
    assert device_list("1,0", lambda: 2) == ["3", "GPU-a"]


@pytest.mark.parametrize("asked", ["", "gpu", "0,,1", "-1", "2", "all,0"])
def test_what_is_no_device_is_refused(asked: str) -> None:
    with pytest.raises(typer.BadParameter, match="device"):
        device_list(asked, lambda: 2)


@pytest.mark.parametrize("asked", ["all", "0", "cpu,0"])
def test_a_gpu_is_refused_where_there_is_none(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(typer.BadParameter, match="no GPU"):
        device_list(asked)  # as CUDA itself counts them


def test_each_device_has_a_worker_that_is_started_again_until_all_are_told_to_stop(tmp_path: Path) -> None:
    crew = subprocess.Popen([sys.executable, "-c", CREW, WORKER, str(tmp_path)], cwd=ROOT, env=os.environ)
    names = ["cpu", "cuda2", "cuda3"]

    def started_twice() -> bool:
        return [(path.name, path.read_text()) for path in sorted(tmp_path.iterdir())] == [
            (name, "xx") for name in names
        ]

    until(started_twice, "each is started, and again once recycled")
    crew.send_signal(signal.SIGTERM)
    assert ended(crew) == 0
