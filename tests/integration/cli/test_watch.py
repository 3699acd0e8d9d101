"""`facewarden watch` with the shipped detector: the demo's swap, cut into a genuine stream for 20 seconds."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from cli.demo import make_photographs, seen
from cli.main import EXIT_FAILED, EXIT_FLAGGED, app
from core.settings import SHIPPED_WEIGHTS
from tests.hls import HlsServer, hls_server, numbered, playlist

RATE, PER_SEGMENT = 2, 4  # a frame for each look
SECONDS, SWAPPED = 32, range(8, 28)
SIZE = (400, 300)


def allow(server: HlsServer, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Let the command watch the test's server, and measure no backend."""
    monkeypatch.setenv("FACEWARDEN_STREAMS__PRIVATE_NETWORKS", "127.0.0.0/8")
    monkeypatch.setenv("FACEWARDEN_STREAMS__PORTS", str(server.port))
    monkeypatch.setenv("FACEWARDEN_HOME", str(home))
    monkeypatch.setenv("FACEWARDEN_BACKEND", "openvino")
    monkeypatch.setenv("FACEWARDEN_DETECTION__BACKEND", "openvino")


@pytest.mark.slow
@pytest.mark.skipif(not SHIPPED_WEIGHTS.exists(), reason="the shipped checkpoint is not in this tree")
def test_a_swap_in_a_genuine_stream_is_told_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photographs, rng = make_photographs(), np.random.default_rng(1)

    def shown(number: int, width: int, height: int) -> NDArray[np.uint8]:
        second = number / RATE
        photograph = photographs["swapped" if int(second) in SWAPPED else "genuine"]
        small = cv2.resize(seen(photograph, second / 5 % 1), (width, height), interpolation=cv2.INTER_AREA)
        return np.clip(small + rng.normal(0, 1.5, small.shape), 0, 255).astype(np.uint8)

    parts = numbered(tmp_path, seconds=SECONDS, rate=RATE, per_segment=PER_SEGMENT, size=SIZE, draw=shown)
    with hls_server() as server:
        server.answers |= {f"/{number}.ts": part for number, part in enumerate(parts)}
        names = [f"{number}.ts" for number in range(len(parts))]
        server.answers["/live.m3u8"] = playlist(names, seconds=PER_SEGMENT, ended=True)
        allow(server, monkeypatch, tmp_path / "home")
        evidence = tmp_path / "evidence"
        arguments = ["watch", server.url(), "--json", "--fail-on-flagged", "--evidence", str(evidence)]
        result = CliRunner().invoke(app, arguments)
    assert result.exit_code == EXIT_FLAGGED, result.output
    events = [json.loads(line) for line in result.stdout.splitlines()]
    (alert,) = [event for event in events if event["event"] == "alert"]
    (over,) = [event for event in events if event["event"] == "alert_over"]
    assert alert["raised_seconds"] - SWAPPED.start <= 10
    assert abs(over["start_seconds"] - SWAPPED.start) <= 1
    assert abs(over["end_seconds"] - SWAPPED.stop) <= 1.5
    assert len(alert["evidence"]) == len(list(evidence.iterdir())) > 0
    last = [event for event in events if event["event"] == "position"][-1]
    assert (last["position_seconds"], last["coverage"], last["frames"]) == (SECONDS, 1.0, RATE * SECONDS)
    assert [event["state"] for event in events if event["event"] == "state"][-1] == "ended"


def test_what_cannot_be_watched_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: Path
) -> None:
    monkeypatch.setenv("FACEWARDEN_WEIGHTS", str(checkpoint))
    with hls_server() as server:
        allow(server, monkeypatch, tmp_path / "home")
        result = CliRunner().invoke(app, ["watch", server.url("/nothing.m3u8"), "--json"])
        assert result.exit_code == EXIT_FAILED
        assert "its server answers 404" in str(result.exception)
        monkeypatch.setenv("FACEWARDEN_STREAMS__PRIVATE_NETWORKS", "")
        server.answers["/live.m3u8"] = playlist(["0.ts"])
        result = CliRunner().invoke(app, ["watch", server.url()])
        assert "which is not public" in str(result.exception)
