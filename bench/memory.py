"""Peak memory of a worker and its decoder while they screen a long clip.

    python -m bench.memory CLIP HOME      screens CLIP once and prints what came of it, as JSON

The process above is started by `run` and watched from outside, together with its children: the peak that
the system keeps for a finished child (`ru_maxrss`) starts at the size of the parent it was forked from.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from core.settings import Settings

LIMIT = 2.5 * 1024**3  # bytes
EVERY = 0.02  # seconds between two looks


def run(clip: Path, settings: Settings, *, minutes: int) -> dict[str, Any]:
    """Screen `clip` in a fresh process, the models loaded there as a worker loads them."""
    command = [sys.executable, "-m", "bench.memory", str(clip), str(settings.home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        peak = _peak(psutil.Process(process.pid), process)
        printed = process.stdout.read() if process.stdout else ""
    if process.returncode != 0:
        raise RuntimeError(f"screening the long clip ended with exit code {process.returncode}")
    together, worker, decoder = peak
    return {
        "clip_minutes": minutes,
        **json.loads(printed),
        "peak_bytes": together,
        "worker_peak_bytes": worker,
        "decoder_peak_bytes": decoder,
        "below_limit": together < LIMIT,
    }


def _peak(worker: psutil.Process, process: "subprocess.Popen[str]") -> tuple[int, int, int]:
    """Resident bytes at their highest: both together, the worker alone, its decoder alone."""
    together = alone = below = 0
    while process.poll() is None:
        try:
            own = worker.memory_info().rss
            children = sum(_resident(child) for child in worker.children(recursive=True))
        except psutil.NoSuchProcess:
            break
        together, alone, below = max(together, own + children), max(alone, own), max(below, children)
        time.sleep(EVERY)
    return together, alone, below


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _screen(clip: Path, home: Path) -> dict[str, Any]:
    from worker.screening.loading import load_pipeline

    settings = Settings(home=home, device="cpu", log_level="error", _env_file=None)
    pipeline = load_pipeline(settings)
    since = time.perf_counter()
    screened = pipeline.screen(clip)
    return {
        "seconds": time.perf_counter() - since,
        "coverage": screened.report.coverage,
        "samples": screened.report.taken,
        "longest_unseen_seconds": screened.report.longest_unseen_seconds,
        "verdict": screened.video.verdict.value,
    }


if __name__ == "__main__":
    print(json.dumps(_screen(Path(sys.argv[1]), Path(sys.argv[2]))))
