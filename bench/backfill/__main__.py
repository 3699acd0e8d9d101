"""A million keys of a bucket, taken in with little memory, and with kills in between.

    python -m bench.backfill [--keys 1000000] [--new-every 50] [--kills 3]

`facewarden ingest s3://… --resume` runs as a process against a server that makes keys up. One key in
`--new-every` is new: it is read, hashed, stored and registered. The others have been taken in before. The
process is killed with SIGKILL on its way, and started again; at the end each key must have been taken exactly
once. Writes build/bench-backfill.json, and ends with 1 where something is not as it should be.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import Engine, func, insert, select

from bench import bench_console
from bench.backfill.listing_server import ADDRESS, LISTED, SIZE, content, key, tag
from core.outcomes import MediaKind
from core.settings import S3Settings, Settings
from ingest.registration import Registrar
from ingest.s3.keys import Keys
from models.whole_file import whole
from storage import source_cursors, videos
from storage.engine import connect, reading, transaction
from storage.folding import folded
from storage.migrate import upgrade
from storage.objects.choice import open_store
from storage.objects.s3.bucket import Bucket, Entry
from storage.tables import Sighting

LIMIT = 200 * 1024**2  # bytes, of the ingest process
CONTENTS = 1000  # different ones
ROWS = 10_000  # inserted at once
LOOK_SECONDS = 0.2
TELL_SECONDS = 10.0
KILL_SECONDS = 0.7  # into the next page: listed and looked up, and some of it taken
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(kw_only=True)
class Outcome:
    keys: int
    new: int  # of them
    kills: int  # of the process, on its way
    seconds: float  # of all processes together
    peak_bytes: int  # the most that one of them had in memory
    missing: int = 0  # keys that were not taken in
    doubled: int = 0  # keys that were taken in twice
    read_again: int = 0  # keys that were read by two processes, because one was killed meanwhile

    @property
    def sound(self) -> bool:
        return not self.missing and not self.doubled and self.peak_bytes < LIMIT


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.backfill")
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--new-every", type=int, default=50)
    parser.add_argument("--kills", type=int, default=3)
    asked = parser.parse_args()
    os.environ |= CREDENTIALS
    with tempfile.TemporaryDirectory(prefix="facewarden-bench-") as folder:
        outcome = measured(Path(folder), keys=asked.keys, new_every=asked.new_every, kills=asked.kills)
    told = asdict(outcome) | {"keys_per_second": outcome.keys / outcome.seconds, "below_limit": outcome.sound}
    path = Path("build/bench-backfill.json")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(told, indent=2) + "\n")
    console = bench_console()
    console.print(
        f"{outcome.keys} keys, {outcome.new} of them new, in {outcome.seconds:.0f} s"
        f" ({outcome.keys / outcome.seconds:.0f} a second), killed {outcome.kills} times"
    )
    console.print(f"peak memory {outcome.peak_bytes / 1024**2:.0f} MiB, limit {LIMIT / 1024**2:.0f} MiB")
    console.print(
        f"missing {outcome.missing}, taken twice {outcome.doubled},"
        f" read again after a kill {outcome.read_again}"
    )
    return 0 if outcome.sound else 1


def measured(folder: Path, *, keys: int, new_every: int, kills: int) -> Outcome:
    home, counts, held = folder / "home", folder / "counts", folder / "held"
    with _served(keys, counts, held) as port:
        settings = Settings(
            home=home,
            bucket=folder / "bucket",
            s3=S3Settings(endpoint_url=f"http://127.0.0.1:{port}", region="us-east-1"),
            _env_file=None,
        )
        engine = connect(settings.sql_url)
        upgrade(engine)
        new = _fill(settings, engine, keys, new_every)
        print(f"{keys - new} keys were taken in before, {new} are new", flush=True)
        outcome = Outcome(keys=keys, new=new, kills=0, seconds=0.0, peak_bytes=0)
        for kill in [keys * (number + 1) // (kills + 1) for number in range(kills)] + [None]:
            _hold(held, kill)
            seconds, peak, killed = _ingest(settings, engine, kill)
            outcome.seconds += seconds
            outcome.peak_bytes = max(outcome.peak_bytes, peak)
            outcome.kills += killed
    names, sightings = _taken(engine)
    outcome.missing, outcome.doubled = keys - names, sightings - names
    outcome.read_again = sum(count > 1 for count in counts.read_bytes())
    engine.dispose()
    return outcome


@contextmanager
def _served(keys: int, counts: Path, held: Path) -> Iterator[int]:
    server_words = [str(keys), str(CONTENTS), str(counts), str(held)]
    command = [sys.executable, "-m", "bench.backfill.listing_server", *server_words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None  # noqa: S101  a pipe
            yield int(server.stdout.readline())
        finally:
            server.terminate()
            server.wait()


def _hold(held: Path, kill: int | None) -> None:
    """Keep what follows the page with the kill from being done before it, however fast the machine is."""
    if kill is None:
        held.unlink(missing_ok=True)
        return
    with whole(held) as partial:
        partial.write_text(str(-(-kill // LISTED) * LISTED))


def _fill(settings: Settings, engine: Engine, keys: int, new_every: int) -> int:
    """Have all but every so many keys taken in, as an earlier run would have; how many are new."""
    objects = open_store(settings)
    registrar, bucket = Registrar(settings, engine, objects), Bucket(ADDRESS.bucket, settings.s3)
    registered = Keys(settings, ADDRESS, registrar, objects, bucket)
    object_key = objects.put_bytes(content(0))
    with transaction(engine) as session:
        video_id, _ = videos.add(
            session,
            sha256=object_key.replace("/", ""),
            size_bytes=SIZE,
            media_kind=MediaKind.VIDEO,
            object_key=object_key,
        )
    known = [number for number in range(keys) if number % new_every]
    for first in range(0, len(known), ROWS):
        seen = [
            registered.seen(Entry(name=key(number), size_bytes=SIZE, modified=0.0, etag=tag(number)))
            for number in known[first : first + ROWS]
        ]
        rows = [asdict(each) | {"folded_name": folded(each.name), "video_id": video_id} for each in seen]
        with transaction(engine) as session:
            session.execute(insert(Sighting), rows)
    return keys - len(known)


def _ingest(settings: Settings, engine: Engine, kill: int | None) -> tuple[float, int, bool]:
    """Runs until so many keys are done, or the end: the seconds, the most memory, whether it was killed."""
    environment = os.environ | {
        "FACEWARDEN_HOME": str(settings.home),
        "FACEWARDEN_S3__ENDPOINT_URL": str(settings.s3.endpoint_url),
        "FACEWARDEN_S3__REGION": "us-east-1",
        "FACEWARDEN_LOG_LEVEL": "error",
    }
    command = [sys.executable, "-m", "cli", "ingest", "--resume", str(ADDRESS)]
    began = told = time.monotonic()
    peak = 0
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            time.sleep(LOOK_SECONDS)
            peak = max(peak, _peak(process.pid))
            done = _done(engine)
            if kill is not None and done >= kill:
                time.sleep(KILL_SECONDS)
                process.send_signal(signal.SIGKILL)
                print(f"killed after {done} keys", flush=True)
                process.wait()
            elif time.monotonic() - told > TELL_SECONDS:
                told = time.monotonic()
                print(f"{done} keys, peak memory {peak / 1024**2:.0f} MiB", flush=True)
    if process.returncode not in {0, -signal.SIGKILL}:
        raise RuntimeError(f"ingest ended with exit code {process.returncode}")
    return time.monotonic() - began, peak, process.returncode != 0


def _peak(pid: int) -> int:
    """The most resident memory that a process ever had, in bytes; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def _done(engine: Engine) -> int:
    with reading(engine) as session:
        cursor = source_cursors.find(session, f"ingest {ADDRESS}")
    return 0 if cursor is None else cursor.listed


def _taken(engine: Engine) -> tuple[int, int]:
    """Names, and sightings."""
    with reading(engine) as session:
        row = session.execute(select(func.count(Sighting.name.distinct()), func.count(Sighting.id))).one()
    return row[0], row[1]


if __name__ == "__main__":
    sys.exit(main())
