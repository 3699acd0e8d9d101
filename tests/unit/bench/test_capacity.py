"""The simulated queue against what queueing theory and arithmetic say."""

import numpy as np
import pytest

from bench.capacity import Cost, lengths, samples, simulate, smallest, uploads


def test_nobody_waits_where_there_is_a_worker_for_each() -> None:
    waits = simulate(np.array([0.0, 0.0, 5.0]), np.array([10.0, 10.0, 10.0]), 3)
    assert (waits.median, waits.longest) == (0, 0)


def test_one_worker_does_them_one_after_the_other() -> None:
    waits = simulate(np.array([0.0, 0.0, 25.0]), np.array([10.0, 10.0, 10.0]), 1)
    assert (waits.median, waits.longest) == (0, 10)  # waits: 0, 10, 0


def test_waits_are_those_of_theory() -> None:
    """M/M/1 at 60% load: Pollaczek and Khinchine's mean wait is 0.6 / (1 - 0.6) services."""
    rng = np.random.default_rng(1)
    arrivals = np.cumsum(rng.exponential(1 / 0.6, 40_000))
    waits = simulate(arrivals, rng.exponential(1.0, 40_000), 1)
    assert waits.busy == pytest.approx(0.6, abs=0.02)
    # Of an M/M/1 queue the part 1 - load does not wait at all; the 95% quantile follows from the tail.
    assert waits.p95 == pytest.approx(np.log(0.6 / 0.05) / 0.4, rel=0.15)


def test_the_smallest_number_holds_the_limit_and_one_less_does_not() -> None:
    rng = np.random.default_rng(2)
    arrivals = uploads(rng, 3000)
    seconds = Cost(sample=1.0, overhead=0.5).of(samples(lengths(rng, arrivals.size)))
    least = smallest(arrivals, seconds, limit=60.0)
    assert simulate(arrivals, seconds, least).median < 60 <= simulate(arrivals, seconds, least - 1).median


def test_a_day_has_its_uploads_in_order_with_a_quiet_night() -> None:
    times = uploads(np.random.default_rng(0), 50_000)
    assert times.size == pytest.approx(50_000, rel=0.03)
    assert (np.diff(times) >= 0).all()
    assert 0 <= times[0] <= times[-1] < 86_400
    hours = np.histogram(times, 24, (0, 86_400))[0]
    assert np.sort(hours)[:6].mean() < 0.6 * hours.mean()


def test_frames_are_sampled_as_the_settings_say() -> None:
    clips = np.array([1.0, 10.0, 32.0, 100.0, 700.0, 3600.0, 6 * 3600.0])
    assert samples(clips).tolist() == [8, 20, 64, 64, 350, 1800, 4320]
