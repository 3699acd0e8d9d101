"""How many workers a day of uploads needs: a simulation of a queue, fed with measured costs.

    python -m bench.capacity [--uploads 1000000] [--wait 60] [--seconds-a-sample 0.17] [--overhead 0.03]

Uploads come as a Poisson process whose rate follows the hours of the day, with bursts on top. The length of
a clip is log-normal; it costs a worker so many seconds for each sampled frame and so many for the rest.
Workers take the oldest upload first. Printed is the smallest number of workers for which the median wait
stays below the limit, and what the waits are with fewer and with more.
"""

import argparse
import heapq
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from bench import bench_console
from core.settings import SamplingSettings

OUTPUT = Path("build/bench-capacity.json")
DAY = 86_400.0  # seconds
NIGHT = 0.3  # rate of the quietest hour, as a part of the busiest one's
BUSIEST_HOUR = 20.0
BURSTS, BURST_SECONDS, BURST_FACTOR = 6, 900.0, 5.0  # a day; how long; times the rate of that hour
MEDIAN_CLIP, SPREAD = 30.0, 1.0  # seconds; of the logarithm
LONGEST_CLIP = 3600.0  # seconds
SHARES = (0.8, 0.9, 1.0, 1.1, 1.25, 1.5)  # of the smallest number of workers, in the table

Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a video costs one worker, in seconds; measured by `make bench` and `make bench-queue`."""

    sample: float  # of each sampled frame: decode, detect, crop, classify
    overhead: float  # of each video: claim, store, queue

    def of(self, samples: Numbers) -> Numbers:
        """(N,) seconds."""
        return samples * self.sample + self.overhead


@dataclass(frozen=True, kw_only=True)
class Waits:
    """Seconds between upload and the begin of its screening."""

    workers: int
    busy: float  # part of the workers' time, [0, 1]
    median: float
    p95: float
    longest: float


def main(arguments: Sequence[str] | None = None) -> None:
    given = _arguments(arguments)
    rng = np.random.default_rng(given.seed)
    arrivals = uploads(rng, given.uploads)
    cost = Cost(sample=given.seconds_a_sample, overhead=given.overhead)
    clips = lengths(rng, arrivals.size)
    seconds = cost.of(samples(clips))
    least = smallest(arrivals, seconds, limit=given.wait)
    sizes = sorted({max(1, round(least * each)) for each in SHARES})
    found = [simulate(arrivals, seconds, workers) for workers in sizes]
    hours = float(seconds.sum()) / 3600
    filmed = float(clips.sum()) / 3600
    title = f"a day: {arrivals.size:,} uploads, {filmed:,.0f} hours of video, {hours:,.0f} hours of work"
    table = Table(title=title)
    for column in ("workers", "busy", "median wait", "95%", "longest"):
        table.add_column(column, justify="right")
    for each in found:
        waits = (f"{value:,.0f} s" for value in (each.median, each.p95, each.longest))
        table.add_row(str(each.workers), f"{each.busy:.0%}", *waits)
    bench_console().print(table)
    print(f"bench-capacity: {least} workers hold the median wait below {given.wait:g} s")
    report = {"given": vars(given), "hours": hours, "least": least, "waits": [asdict(each) for each in found]}
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(report, indent=1) + "\n")


def uploads(rng: np.random.Generator, count: int) -> Numbers:
    """When uploads come, in seconds of one day, in order: about `count` of them."""
    steps = np.arange(0.0, DAY, 1.0)
    phase = (steps / 3600 - BUSIEST_HOUR) / 24 * 2 * math.pi
    rate = NIGHT + (1 - NIGHT) * (1 + np.cos(phase)) / 2
    for begin in rng.uniform(0, DAY - BURST_SECONDS, BURSTS):
        rate[(steps >= begin) & (steps < begin + BURST_SECONDS)] *= BURST_FACTOR
    each_second = rng.poisson(rate / rate.sum() * count)
    return np.sort(np.repeat(steps, each_second) + rng.uniform(0, 1, int(each_second.sum())))


def lengths(rng: np.random.Generator, count: int) -> Numbers:
    """(N,) seconds of video."""
    return np.minimum(rng.lognormal(math.log(MEDIAN_CLIP), SPREAD, count), LONGEST_CLIP)


def samples(clips: Numbers, settings: SamplingSettings | None = None) -> Numbers:
    """(N,): how many frames of clips of these lengths, in seconds, are looked at."""
    given = settings or SamplingSettings()
    rates = [
        np.minimum(clips * given.frames_per_second, given.short_frames),
        np.minimum(clips / given.step_seconds, given.step_frames),
        np.minimum(clips / given.long_step_seconds, given.max_frames),
    ]
    wanted: Numbers = np.ceil(np.maximum(np.max(rates, axis=0), given.min_frames))
    return wanted


def simulate(arrivals: Numbers, seconds: Numbers, workers: int) -> Waits:
    """One day, first come, first served.

    Args:
        arrivals: (N,) when uploads come, in seconds, in order.
        seconds: (N,) what each costs a worker.
        workers: how many there are.
    """
    free = [0.0] * workers  # when each worker has done what it took
    waits = np.empty(arrivals.size)
    for number, (arrival, cost) in enumerate(zip(arrivals, seconds, strict=True)):
        begin = max(arrival, free[0])
        waits[number] = begin - arrival
        heapq.heapreplace(free, begin + cost)
    end = max(float(arrivals[-1]), *free)
    return Waits(
        workers=workers,
        busy=float(seconds.sum() / (workers * end)),
        median=float(np.median(waits)),
        p95=float(np.quantile(waits, 0.95)),
        longest=float(waits.max()),
    )


def smallest(arrivals: Numbers, seconds: Numbers, *, limit: float) -> int:
    """The least number of workers for which the median wait is below `limit` seconds: it falls with each."""
    low, high = 0, 1
    while simulate(arrivals, seconds, high).median >= limit:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if simulate(arrivals, seconds, middle).median < limit else (middle, high)
    return high


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.capacity", description=__doc__)
    parser.add_argument("--uploads", type=int, default=1_000_000, help="a day")
    parser.add_argument("--wait", type=float, default=60.0, help="median, seconds")
    parser.add_argument("--seconds-a-sample", type=float, default=0.17, help="of one worker")
    parser.add_argument(
        "--overhead", type=float, default=0.03, help="seconds of each video beside its frames"
    )
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
