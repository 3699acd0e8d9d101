"""`make chaos`: videos trickle into a bucket while every process and every server is killed once.

    python -m fuzz.chaos [--videos 200] [--seed 0] [--weights FILE] [--output build/chaos]

SeaweedFS, PostgreSQL, Valkey, two ingests, two screen workers, an explain worker and a review service run as
processes. Each is killed with SIGKILL at some moment of the run, and started again. At the end each video
must have its verdict once, no object may be too many or missing, and the audit log must be whole.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from pathlib import Path

from core import logs
from core.errors import FacewardenError
from core.settings import Settings
from fuzz.chaos.findings import Findings, Progress, findings, head, progress
from fuzz.chaos.system import System

CREW = {"ingest": 2, "screen": 2, "explain": 1, "review": 1}
FAKE_EVERY = 10  # videos: an explanation takes much longer than all else
DOWN_SECONDS = 1.0  # between a kill and the next start
LOOK_SECONDS = 0.5
STANDSTILL_SECONDS = 300.0  # after which nothing will come any more
QUICK = {
    "FACEWARDEN_LIME__SAMPLES": "20",
    "FACEWARDEN_SCORING__FLAGGED_FRAMES": "1",
    "FACEWARDEN_LOG_FORMAT": "console",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz.chaos")
    parser.add_argument("--videos", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="the order of the kills")
    parser.add_argument("--weights", type=Path, help="another checkpoint than the shipped one")
    parser.add_argument("--output", type=Path, default=Path("build/chaos"), help="folder of logs and report")
    asked = parser.parse_args()
    output: Path = asked.output.resolve()
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    more = {} if asked.weights is None else {"FACEWARDEN_WEIGHTS": str(asked.weights.resolve())}
    began = time.monotonic()
    found = rampage(output, clips(output), videos=asked.videos, seed=asked.seed, crew=CREW, more=QUICK | more)
    report = asdict(found) | {"seconds": time.monotonic() - began, "faults": found.faults}
    (output / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    print(
        f"{found.videos} videos: {found.verdicts}, failed {found.failed}, {found.attempts} attempts more,"
        f" in {report['seconds']:.0f} s"
    )
    print(
        f"{found.objects} objects, {found.orphans} of them orphans, {found.missing} missing,"
        f" {found.half_written} half written; audit log {'whole' if found.chain else 'BROKEN'}"
    )
    print(f"chaos: {'; '.join(found.faults) or 'all held'}")
    return 1 if found.faults else 0


def clips(folder: Path) -> dict[str, bytes]:
    """A second of a genuine face and of a swapped one."""
    from cli.demo import make_photographs, write_clip  # noqa: PLC0415

    made = {}
    for name, photograph in make_photographs().items():
        path = folder / f"{name}.mp4"
        write_clip(path, photograph, seconds=1)
        made[name] = path.read_bytes()
    return made


def rampage(
    folder: Path,
    films: Mapping[str, bytes],
    *,
    videos: int,
    seed: int,
    crew: Mapping[str, int],
    more: Mapping[str, str],
    spared: Collection[str] = (),
) -> Findings:
    """Run the system on so many different videos, kill each of its parts once, and look at what is left.

    `spared` are not killed; `more` is environment of all our processes.
    """
    logs.configure(Settings(log_level="error", _env_file=None))
    # For root PostgreSQL runs as another user, to whom its folder must be open.
    with tempfile.TemporaryDirectory(prefix="facewarden-chaos-") as place:
        system = System(folder=folder, postgres_folder=Path(place), crew=crew, more=more)
        try:
            system.start()
            putter = threading.Thread(target=_put, args=(system, films, videos), daemon=True)
            putter.start()
            heads = _kill_each(system, videos, random.Random(seed), spared)
            putter.join()
            _until_all_is_done(system, videos)
            codes = system.end()
            print(f"ended with {codes}; {system.restarts} had ended before, by themselves", flush=True)
            return findings(system.settings, system.engine, videos, heads)
        finally:
            system.stop()


def _put(system: System, films: Mapping[str, bytes], videos: int) -> None:
    """No faster than they are screened: a kill must always find something under way."""
    for number in range(videos):
        while (now := _looked(system)) is None or number - now.ended > 2 * len(system.killable):
            time.sleep(LOOK_SECONDS)
        system.put(f"clip {number}.mp4", _film(films, number))


def _film(films: Mapping[str, bytes], number: int) -> bytes:
    """One of the films with a `free` box behind it, which makes content of its own and changes no picture."""
    film = films["swapped" if number % FAKE_EVERY == 0 else "genuine"]
    return film + b"\x00\x00\x00\x0cfree" + number.to_bytes(4, "big")


def _looked(system: System) -> Progress | None:
    """None while the database is away."""
    try:
        return progress(system.engine)
    except FacewardenError:
        return None


def _kill_each(system: System, videos: int, order: random.Random, spared: Collection[str]) -> list[str]:
    """Each once, spread over the run; the heads of the audit log on the way."""
    victims = [each for each in system.killable if each.name not in spared]
    heads = []
    order.shuffle(victims)
    for number, victim in enumerate(victims):
        _until_ended(system, videos * (number + 1) // (len(victims) + 1))
        heads.append(head(system.engine))
        victim.kill()
        now = _looked(system)
        print(f"killed {victim.name} after {now.ended if now else '?'} videos", flush=True)
        time.sleep(DOWN_SECONDS)
        victim.start()
    return heads


def _until_ended(system: System, number: int) -> None:
    _until(system, lambda now: now.ended >= number)


def _until_all_is_done(system: System, videos: int) -> None:
    _until(system, lambda now: now.ended >= videos and not now.unexplained)


def _until(system: System, happened: Callable[[Progress], bool]) -> None:
    """Raises TimeoutError where nothing moves any more."""
    moved, before = time.monotonic(), None
    while (now := _looked(system)) is None or not happened(now):
        if now != before:
            moved, before = time.monotonic(), now
        system.tend()
        if time.monotonic() - moved > STANDSTILL_SECONDS:
            raise TimeoutError(f"nothing has moved for {STANDSTILL_SECONDS:.0f} s: {now}")
        time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
