"""What the queue and the database cost for each video, by 1, 2 and 4 workers.

    python -m bench.queue [--videos 10000] [--workers 1,2,4] [--database postgresql|sqlite|both] [--profile]

So many tiny, different files are registered as an ingest process does it. Real worker processes screen them;
only the decoder, the detector and the classifier are stand-ins (bench.queue.stubs). Each number of workers
begins with a copy of the database as it was after the intake, and an empty Redis that the reconciler fills.

The overhead of a video is the time from the end of the pipeline's last video to its end with this one,
without what the stand-ins took: claim, lease, hashes, crops, tracks, rows, commit, events, jobs for the
explanation, and RQ. Of it, `pipeline` is what the pipeline's other stages took. It is told by the clock and
as the worker's CPU time: the clock's also counts waiting for the servers, and for a core that others use. It
writes build/bench-queue.json, and ends with 1 where a video was not screened exactly once.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import SecretStr
from redis import Redis
from rich.table import Table
from sqlalchemy import func, select

from bench import bench_console
from bench.queue.files import content
from bench.queue.places import Database, cpu_seconds, database, valkey
from bench.queue.trips import count
from core import logs
from core.outcomes import ScreeningStatus
from core.settings import Settings
from ingest.reconciler import Reconciler
from ingest.registration import Intake, Registrar
from storage import audit
from storage.engine import connect, reading
from storage.objects.choice import open_store
from storage.tables import AuditEvent, Screening

OUTPUT = Path("build/bench-queue.json")
GOAL_MILLISECONDS = 30.0  # of the median overhead
SOURCE = "bench:queue"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Servers, files, and who works there."""

    settings: Settings
    database: Database
    valkey: int  # process number
    folder: Path


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.queue")
    parser.add_argument("--videos", type=int, default=10_000)
    parser.add_argument("--workers", default="1,2,4", help="numbers of worker processes, one run each")
    parser.add_argument("--database", choices=["postgresql", "sqlite", "both"], default="both")
    parser.add_argument(
        "--profile", action="store_true", help="profile the workers: build/bench-queue.*.prof"
    )
    asked = parser.parse_args()
    crews = [int(number) for number in asked.workers.split(",")]
    processors = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    report: dict[str, Any] = {
        "videos": asked.videos,
        "machine": {"processor": processors[0].partition(": ")[2], "cores": os.cpu_count()},
        "load": os.getloadavg(),
    }
    logs.configure(Settings(log_level="warning", _env_file=None))  # ours; the workers' go to files
    console, sound = bench_console(), True
    for kind in ("postgresql", "sqlite") if asked.database == "both" else (asked.database,):
        with tempfile.TemporaryDirectory(prefix="facewarden-bench-") as name:
            found = measured(kind, Path(name), videos=asked.videos, crews=crews, profile=asked.profile)
        report[kind] = found
        console.print(_table(kind, found, asked.videos))
        sound = sound and all(run["sound"] for run in found["runs"])
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(report, indent=2) + "\n")
    if not sound:
        console.print("not every video was screened exactly once")
    return 0 if sound else 1


def measured(
    kind: str, folder: Path, *, videos: int, crews: Sequence[int], profile: bool = False
) -> dict[str, Any]:
    """The intake, and a run for each number of workers."""
    with valkey(folder / "valkey") as (redis, pid), database(kind, folder) as databases:
        settings = Settings(
            home=folder / "home",
            bucket=folder / "bucket",
            database_url=SecretStr(databases.first),
            redis_url=SecretStr(redis),
            _env_file=None,
        )
        place = Place(settings=settings, database=databases, valkey=pid, folder=folder)
        databases.create()
        found: dict[str, Any] = {"intake": _intake(place, videos), "runs": []}
        for number, workers in enumerate(crews):
            url = databases.copy(f"run_{number}")
            found["runs"].append(_run(place, url, videos, workers, profile))
            print(f"{kind}, {workers} workers: {videos} videos screened", flush=True)
        return found


def _intake(place: Place, videos: int) -> dict[str, Any]:
    """Register the files, one after another, as one thread of one ingest process does."""
    engine = connect(place.settings.sql_url)
    registrar = Registrar(place.settings, engine, open_store(place.settings))
    trips, path = count(engine), place.folder / "file.mp4"
    began, cpu = time.monotonic(), time.process_time()
    for number in range(videos):
        path.write_bytes(content(number))
        receipt = registrar.register(path, name=f"videos/{number}.mp4", source=SOURCE)
        assert receipt.intake is Intake.QUEUED, receipt  # noqa: S101
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    engine.dispose()
    return {
        "per_second": videos / seconds,
        "sql": trips.sql / videos,
        "redis": trips.redis / videos,
        "cpu_milliseconds": 1000 * cpu / videos,
    }


def _run(place: Place, url: str, videos: int, workers: int, profile: bool) -> dict[str, Any]:
    """Screen all videos by so many workers."""
    settings = place.settings.model_copy(update={"database_url": SecretStr(url)})
    Redis.from_url(settings.queue_url).flushall()
    engine = connect(url)
    began = time.monotonic()
    assert Reconciler(settings, engine).run_once().enqueued == videos  # noqa: S101
    enqueued = videos / (time.monotonic() - began)
    used = place.database.cpu_seconds(), cpu_seconds(place.valkey)
    told = _work(settings, place.folder, videos, workers, profile)
    database_used, valkey_used = place.database.cpu_seconds(), cpu_seconds(place.valkey) - used[1]
    overhead = _overhead(told, "")
    seconds = max(one["ended"] for one in told) - min(one["began"] for one in told)
    milliseconds = {
        "worker": 1000 * sum(one["cpu_seconds"] for one in told) / videos,
        "valkey": 1000 * valkey_used / videos,
    }
    if database_used is not None and used[0] is not None:
        milliseconds["postgresql"] = 1000 * (database_used - used[0]) / videos
    sound = _sound(settings, videos)
    engine.dispose()
    return {
        "workers": workers,
        "per_second": videos / seconds,
        "overhead_milliseconds": overhead,
        "overhead_cpu_milliseconds": _overhead(told, "_cpu"),
        "trips": {name: sum(one["trips"][name] for one in told) / videos for name in told[0]["trips"]},
        "cpu_milliseconds": milliseconds,
        "enqueued_per_second": enqueued,
        "below_goal": overhead["median"] < GOAL_MILLISECONDS,
        "sound": sound,
    }


def _overhead(told: Sequence[dict[str, Any]], of: str) -> dict[str, float]:
    """Milliseconds of each video but a worker's first, by the clock, or of CPU time where `of` is "_cpu"."""
    ended, stubbed, pipeline = "ended" + of, "stubbed" + of, "pipeline" + of
    each = [
        1000 * (turn[ended] - before[ended] - turn[stubbed])
        for one in told
        for before, turn in pairwise(one["turns"])
    ]
    percentiles = {f"p{part}": float(np.percentile(each, part)) for part in (90, 95, 99)}
    inner = [1000 * turn[pipeline] for one in told for turn in one["turns"][1:]]
    return {"median": float(np.median(each)), **percentiles, "pipeline": float(np.median(inner))}


def _work(settings: Settings, folder: Path, videos: int, workers: int, profile: bool) -> list[dict[str, Any]]:
    """Start the workers, let all begin at once, and return their reports."""
    environment = os.environ | {
        "FACEWARDEN_HOME": str(settings.home),
        "FACEWARDEN_BUCKET": str(settings.bucket),
        "FACEWARDEN_DATABASE_URL": settings.sql_url,
        "FACEWARDEN_REDIS_URL": settings.queue_url,
        "FACEWARDEN_WORKER__RECYCLE_JOBS": str(videos + 1),
        "OMP_NUM_THREADS": "1",
    }
    reports = [folder / f"worker-{number}.json" for number in range(workers)]
    running = []
    for report in reports:
        command = [sys.executable, "-m", "bench.queue.worker", str(report)]
        if profile:
            OUTPUT.parent.mkdir(exist_ok=True)
            command += ["--profile", str(OUTPUT.with_suffix(f".{workers}.{report.stem}.prof"))]
        with report.with_suffix(".log").open("wb") as log:
            running.append(
                subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=environment,
                    text=True,
                )
            )
    try:
        for worker in running:
            assert worker.stdout is not None and worker.stdout.readline() == "ready\n"  # noqa: S101, PT018
        for worker in running:
            assert worker.stdin is not None  # noqa: S101
            worker.stdin.write("\n")
            worker.stdin.close()
        for worker, report in zip(running, reports, strict=True):
            if worker.wait() != 0:
                raise RuntimeError(report.with_suffix(".log").read_text()[-3000:])
    finally:
        for worker in running:
            worker.kill()
            worker.wait()
            if worker.stdout is not None:
                worker.stdout.close()
    return [json.loads(report.read_text()) for report in reports]


def _sound(settings: Settings, videos: int) -> bool:
    """Whether each video has one verdict, stored once, and the log of it is whole."""
    engine = connect(settings.sql_url)
    with reading(engine) as session:
        done = session.scalar(
            select(func.count(Screening.video_id.distinct())).where(
                Screening.status == ScreeningStatus.DONE, Screening.latest, Screening.attempt == 1
            )
        )
        said = session.scalar(select(func.count()).where(AuditEvent.action == "screening.done"))
        chain = audit.verify(session)
    engine.dispose()
    return done == said == videos and chain.sound


def _table(kind: str, found: dict[str, Any], videos: int) -> Table:
    intake = found["intake"]
    table = Table(
        title=f"{kind}: {videos} videos; taken in {intake['per_second']:.0f} a second"
        f" ({intake['sql']:.1f} round trips to SQL, {intake['redis']:.1f} to Redis each)"
    )
    names = "median", "p90", "p99", "pipeline"
    columns = "overhead median", *names[1:], "its CPU median", *names[1:], "SQL", "Redis", "CPU of a video"
    for column in ("workers", "videos/s", *columns):
        table.add_column(column, justify="right")
    for run in found["runs"]:
        cpu = run["cpu_milliseconds"]
        table.add_row(
            str(run["workers"]),
            f"{run['per_second']:.1f}",
            *(f"{run['overhead_milliseconds'][name]:.1f} ms" for name in names),
            *(f"{run['overhead_cpu_milliseconds'][name]:.1f} ms" for name in names),
            f"{run['trips']['sql']:.1f}",
            f"{run['trips']['redis']:.1f}",
            ", ".join(f"{name} {milliseconds:.1f} ms" for name, milliseconds in cpu.items()),
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
