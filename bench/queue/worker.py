"""One worker process of the benchmark: a real one but for the stand-ins. It waits for a line, and works.

    python -m bench.queue.worker REPORT [--profile FILE]

Settings come from the environment. REPORT is written at its end, in JSON: the pipeline's turns, the round
trips, the CPU time.
"""

import argparse
import cProfile
import json
import resource
import sys
import time
from dataclasses import asdict
from pathlib import Path

from bench.queue.stubs import StubContext
from bench.queue.trips import count
from core import logs, queues
from core.settings import Settings
from worker.process import run_worker


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.queue.worker")
    parser.add_argument("report", type=Path)
    parser.add_argument("--profile", type=Path)
    asked = parser.parse_args()
    settings = Settings.read()
    logs.configure(settings)
    context = StubContext.of(settings)
    trips = count(context.engine)
    print("ready", flush=True)
    sys.stdin.readline()
    cpu, began = _cpu(), time.monotonic()
    profile = cProfile.Profile()
    if asked.profile:
        profile.enable()
    code = run_worker(queues.SCREEN, settings, burst=True, context=context)
    if asked.profile:
        profile.disable()
        profile.dump_stats(asked.profile)
    told = {
        "began": began,
        "ended": time.monotonic(),
        "cpu_seconds": _cpu() - cpu,
        "trips": asdict(trips) | {"sql": trips.sql},
        "turns": [asdict(turn) for turn in context.turns],
    }
    asked.report.write_text(json.dumps(told))
    return code


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
