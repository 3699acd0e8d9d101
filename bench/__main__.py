"""`make bench`: Facewarden against the obvious pipeline, side by side in one run.

    python -m bench [--full]

`--full` sends every frame through the yardstick (minutes); else every tenth, scaled, and it says so.
"""

import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.table import Table
from skimage.data import astronaut

from bench import bench_console, clips, explaining, memory, yardstick
from core.logs import configure
from core.settings import Settings
from models.detector import FaceDetector
from worker.screening.loading import load_pipeline
from worker.screening.pipeline import STAGES, Pipeline

SECONDS = 10
LONG_MINUTES = 60
MEASURED_FRAMES = 30
RUNS = 5  # of ours, whose median counts: a second is short beside what else a machine does
LIME_SAMPLES = 300
OUTPUT = Path("build/bench.json")


def main() -> None:
    settings = Settings(home=Path("build/bench"), device="cpu", log_level="error", _env_file=None)
    configure(settings)
    full = "--full" in sys.argv
    photograph = astronaut()
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        clips.write_1080p(clip, photograph, SECONDS)
        long = Path(folder) / "long.mp4"
        clips.loop(clip, long, LONG_MINUTES * 60 // SECONDS)
        pipeline, load = _pipeline(settings)
        backend = pipeline.classifier.backend
        report: dict[str, Any] = {
            "machine": {"cpu": _cpu(), "cores": os.cpu_count(), "python": platform.python_version()},
            "model": pipeline.classifier.version.id,
            "backend": f"{backend.name} {backend.precision}",
            "load_seconds": load,
            "screening": _screening(clip, pipeline, settings, None if full else MEASURED_FRAMES),
            "memory": memory.run(long, settings, minutes=LONG_MINUTES),
            "lime": _lime(photograph, pipeline, settings),
        }
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(report, indent=1) + "\n")
    _print(report)


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _pipeline(settings: Settings) -> tuple[Pipeline, float]:
    since = time.perf_counter()
    return load_pipeline(settings), time.perf_counter() - since


def _screening(clip: Path, pipeline: Pipeline, settings: Settings, measured: int | None) -> dict[str, Any]:
    pipeline.screen(clip)  # warm: a worker has loaded its models before the first job
    runs = sorted((pipeline.screen(clip) for _ in range(RUNS)), key=lambda run: run.timings["total"])
    ours = runs[RUNS // 2]
    obvious = yardstick.run(clip, settings, measured=measured)
    return {
        "clip_seconds": SECONDS,
        "ours_seconds": ours.timings,
        "ours_total_seconds": [run.timings["total"] for run in runs],
        "yardstick_seconds": {**obvious.seconds, "total": obvious.total},
        "yardstick_frames": f"measured on {obvious.measured} of {obvious.frames} frames",
        "ratio": obvious.total / ours.timings["total"],
        "faster_than_the_clip_plays": ours.timings["total"] < SECONDS,
        "verdicts": {"ours": ours.video.verdict.value, "yardstick": obvious.verdict.value},
    }


def _lime(photograph: Any, pipeline: Pipeline, settings: Settings) -> dict[str, Any]:
    face = FaceDetector(settings.detection).detect([photograph])[0][0]
    return explaining.run(face, photograph, pipeline, samples=LIME_SAMPLES)


def _print(report: dict[str, Any]) -> None:
    console = bench_console()
    screening, lime, long = report["screening"], report["lime"], report["memory"]
    table = Table(title=f"{SECONDS} s of 1080p30 on {report['machine']['cores']} cores, {report['backend']}")
    for column in ("stage", "obvious, s", "Facewarden, s", "ratio"):
        table.add_column(column, justify="right")
    for stage in (*STAGES, "total"):
        ours, theirs = screening["ours_seconds"][stage], screening["yardstick_seconds"].get(stage)
        ratio = f"{theirs / ours:.1f}x" if theirs and ours else ""
        table.add_row(stage, "" if theirs is None else f"{theirs:.2f}", f"{ours:.3f}", ratio)
    for name, theirs in (
        (f"LIME, {lime['samples']} samples, same network", lime["same_network"]),
        (f"LIME, Xception at {explaining.PUBLISHED_SIZE} px", lime["published_size"]),
    ):
        table.add_row(
            name, f"{theirs['package_seconds']:.2f}", f"{lime['ours_seconds']:.2f}", f"{theirs['ratio']:.1f}x"
        )
    console.print(table)
    shortest, *_, longest = screening["ours_total_seconds"]
    console.print(
        f"ours: median of {RUNS} runs, of {shortest:.2f} to {longest:.2f} s, whose stages run side by side; "
        f"yardstick: {screening['yardstick_frames']}; verdicts: {screening['verdicts']}"
    )
    console.print(f"faster than the clip plays: {screening['faster_than_the_clip_plays']}")
    console.print(
        f"LIME top segments of the same network: package {lime['package_top']}, ours {lime['ours_top']}; "
        f"settled after {lime['settled_samples']} samples, {lime['settled_seconds']:.2f} s"
    )
    peak, worker, decoder = (long[f"{whose}peak_bytes"] / 1024**3 for whose in ("", "worker_", "decoder_"))
    console.print(
        f"{long['clip_minutes']} minute clip: {long['seconds']:.1f} s, "
        f"{60 * long['clip_minutes'] / long['seconds']:.0f} times as fast as it plays, "
        f"{long['samples']} frames looked at, "
        f"coverage {long['coverage']:.2f}, longest unseen {long['longest_unseen_seconds']:.1f} s, "
        f"peak memory {peak:.2f} GiB (worker {worker:.2f}, decoder {decoder:.2f}); "
        f"below {memory.LIMIT / 1024**3:g}: {long['below_limit']}"
    )
    console.print(f"bench: done, ratio {screening['ratio']:.1f}x, written to {OUTPUT}")


if __name__ == "__main__":
    main()
