"""The campaign counts what it is there to count: each fault is made on purpose by a small screener."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fuzz.campaign import Campaign, Hostile, Tally, hostile_campaign
from fuzz.canary import Canary
from fuzz.seeds import seeds

# A screener that speaks as the real one does; what it does with a file stands in the file.
SCREENER = """
import json, os, subprocess, sys, time
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    answer = {"verdict": "clear", "leaked": []}
    exec(open(json.loads(line)).read())
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Canary]:
    with Canary(tmp_path / "canary", b"content") as canary:
        yield canary


def run(canary: Canary, tmp_path: Path, *files: str, hang_seconds: float = 120.0) -> Tally:
    hostile = [
        Hostile(number=number, name=f"{number}.mp4", origin="test", content=content.encode())
        for number, content in enumerate(files)
    ]
    command = (sys.executable, "-c", SCREENER)
    campaign = Campaign(tmp_path / "output", canary, command=command, hang_seconds=hang_seconds)
    return campaign.run(iter(hostile), screeners=1)


def faults(tally: Tally) -> dict[str, int]:
    return {what: len(found) for what, found in tally.faults.items() if found}


def test_verdicts_and_typed_errors_are_no_faults(canary: Canary, tmp_path: Path) -> None:
    tally = run(canary, tmp_path, "", "answer = {'error': 'empty_file: x.mp4: the file is empty'}")
    assert (tally.files, tally.verdicts, tally.typed_errors) == (2, {"clear": 1}, {"empty_file": 1})
    assert faults(tally) == {}
    assert tally.peak_bytes > 0


@pytest.mark.parametrize(
    ("deed", "fault"),
    [
        ("os._exit(3)", "worker deaths"),
        ("os.kill(os.getpid(), 11)", "worker deaths"),
        ("answer = {'untyped': 'ZeroDivisionError'}", "untyped errors"),
        ("answer['leaked'] = ['process 7']", "leaked children or shared memory"),
        ("held = b'x' * 300_000_000; time.sleep(1); held = None", "over the memory limit"),
    ],
)
def test_a_fault_is_counted_kept_and_survived(
    canary: Canary, tmp_path: Path, deed: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fuzz.campaign.MOST_BYTES", 200_000_000)
    tally = run(canary, tmp_path, deed, "")
    assert faults(tally) == {fault: 1}
    assert f" 1 {fault}" in tally.line()
    assert (tmp_path / "output" / "faults" / "0-0.mp4").read_text() == deed
    assert tally.verdicts["clear"] >= 1  # the next file was screened, by a new screener where need be


def test_a_hang_is_counted(canary: Canary, tmp_path: Path) -> None:
    tally = run(canary, tmp_path, "time.sleep(1000)", hang_seconds=1.0)
    assert faults(tally) == {"hangs": 1}


def test_a_touched_canary_is_counted(canary: Canary, tmp_path: Path) -> None:
    host, port = canary.address.split(":")
    opened = run(canary, tmp_path, f"open({str(canary.file)!r}).close()")
    assert faults(opened) == {"foreign files or addresses opened": 1}
    called = run(
        canary,
        tmp_path,
        f"import socket; socket.create_connection(({host!r}, {port})).close(); time.sleep(0.5)",
    )
    assert faults(called) == {"foreign files or addresses opened": 1}


def test_a_campaign_is_the_same_for_the_same_seed(canary: Canary) -> None:
    valid = seeds()

    def made(seed: int) -> list[Hostile]:
        return list(hostile_campaign(valid, canary, files=60, seed=seed))

    assert made(1) == made(1)
    assert {each.content for each in made(1)} != {each.content for each in made(2)}


def test_a_short_campaign_does_no_harm(tmp_path: Path, checkpoint: Path) -> None:
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "fuzz",
            "--files",
            "24",
            "--seed",
            "5",
            "--screeners",
            "1",
            "--output",
            str(tmp_path),
        ],
        # What is attacked is the decoding and the handling around it: a small network is as good.
        env=os.environ | {"FACEWARDEN_WEIGHTS": str(checkpoint), "FACEWARDEN_BACKEND": "fp32"},
        capture_output=True,
        text=True,
        check=False,
    )
    last = ended.stdout.strip().splitlines()[-1] if ended.stdout.strip() else ended.stderr
    assert ended.returncode == 0, ended.stdout
    assert last.startswith("fuzz: 24 files, ")
    assert "; 0 worker deaths, 0 hangs, 0 untyped errors, 0 over the memory limit" in last
