"""Memory of the process that watches streams, over an hour of one, served as fast as it is looked at.

    python -m bench.streams [--minutes 60] [--frames-per-second 2] [--out build/bench-streams.json]

The stream shows one photograph under a moving camera; in each ten minutes the demo's swap is cut in for 20
seconds. It is served by HTTP as a finished HLS stream, so that nobody waits for it, and watched by the very
service that `facewarden streams` runs, with SQLite and objects in a folder. Prints what is resident at the
start, in the middle and at the end, the alerts, and how fast it was.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import psutil

from bench.stream_server import StreamServer
from cli.demo import make_photographs, seen
from core.settings import Settings, StreamSettings
from storage import migrate
from storage.engine import connect, reading, transaction
from storage.streams import requests
from worker.context import Context
from worker.stream_service import StreamService

SEGMENT_SECONDS, RATE, SIZE = 4, 5, (640, 480)
PERIOD_SEGMENTS = 150  # ten minutes
SWAPPED_SEGMENTS = range(60, 65)  # of each period: 20 seconds
LOOP_SEGMENTS = 5  # made of each kind; shown again and again
MEBIBYTE = 1024**2


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Memory over an hour of a stream.")
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--frames-per-second", type=float, default=2.0)
    parser.add_argument("--out", type=Path, default=Path("build/bench-streams.json"))
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="facewarden-bench-") as folder:
        report = measure(Path(folder), minutes=given.minutes, frames_per_second=given.frames_per_second)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


def measure(folder: Path, *, minutes: int, frames_per_second: float) -> dict[str, Any]:
    """Watch so many minutes of the stream; what was resident, seen and told."""
    parts = make_segments(folder)
    count = minutes * 60 // SEGMENT_SECONDS
    swapped = [number % PERIOD_SEGMENTS in SWAPPED_SEGMENTS for number in range(count)]
    kinds = ["swapped" if forged else "genuine" for forged in swapped]
    names = [f"{kind}-{number % LOOP_SEGMENTS}.ts" for number, kind in enumerate(kinds)]
    with StreamServer(parts, names, seconds=SEGMENT_SECONDS) as server:
        streams = StreamSettings(
            enabled=True,
            private_networks="127.0.0.0/8",
            ports=str(server.port),
            frames_per_second=frames_per_second,
        )
        settings = Settings(home=folder / "home", streams=streams, log_level="warning", _env_file=None)
        return _watched(settings, server.url)


def _watched(settings: Settings, url: str) -> dict[str, Any]:
    engine = connect(settings.sql_url)
    migrate.upgrade(engine)
    with transaction(engine) as session:
        guard = settings.streams.guard
        number = requests.add(session, url=url, name="bench", guard=guard, actor="bench").id
    service = StreamService(Context.of(settings))
    process, resident, began = psutil.Process(), list[tuple[float, int]](), time.monotonic()
    while True:
        service.step()
        with reading(engine) as session:
            view = requests.get(session, number)
        if not resident or view.position_seconds - resident[-1][0] >= 30:
            resident.append((view.position_seconds, process.memory_info().rss))
        if view.status.over:
            break
    seconds = time.monotonic() - began
    with reading(engine) as session:
        alerts = requests.alerts(session, number)
    engine.dispose()
    warm = [each for each in resident if each[0] >= 60] or resident  # the models' first calls are behind
    return {
        "status": view.status.value,
        "stream_seconds": view.position_seconds,
        "coverage": view.coverage,
        "seconds": round(seconds, 1),
        "times_real_time": round(view.position_seconds / seconds, 2),
        "resident_mib": {
            "start": warm[0][1] // MEBIBYTE,
            "middle": warm[len(warm) // 2][1] // MEBIBYTE,
            "end": warm[-1][1] // MEBIBYTE,
            "peak": max(each[1] for each in warm) // MEBIBYTE,
        },
        "alerts": [
            {
                "start_seconds": each.start_seconds,
                "raised_seconds": each.raised_seconds,
                "end_seconds": each.end_seconds,
                "clip": each.has_clip,
            }
            for each in reversed(alerts)
        ],
    }


def make_segments(folder: Path) -> dict[str, bytes]:
    """A few segments of each kind, by name."""
    rng, made = np.random.default_rng(1), {}
    for kind, photograph in make_photographs().items():
        for number in range(LOOP_SEGMENTS):
            path = folder / f"{kind}-{number}.ts"
            with av.open(str(path), "w", format="mpegts") as output:
                stream: Any = output.add_stream("libx264", rate=RATE)
                stream.width, stream.height = SIZE
                stream.pix_fmt = "yuv420p"
                stream.options = {"g": str(SEGMENT_SECONDS * RATE), "preset": "veryfast", "crf": "20"}
                for frame in range(SEGMENT_SECONDS * RATE):
                    moment = (number + frame / (SEGMENT_SECONDS * RATE)) / LOOP_SEGMENTS
                    shown = cv2.resize(seen(photograph, moment), SIZE, interpolation=cv2.INTER_AREA)
                    noisy = np.clip(shown + rng.normal(0, 1.5, shown.shape), 0, 255).astype(np.uint8)
                    output.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="rgb24")))
                output.mux(stream.encode(None))
            made[path.name] = path.read_bytes()
    return made


if __name__ == "__main__":
    main()
