"""The benchmark of the queue, small: real processes, and each video screened once."""

from pathlib import Path

import pytest

from bench.queue.__main__ import measured


@pytest.mark.slow
def test_each_video_is_screened_once_and_what_it_costs_is_counted(tmp_path: Path) -> None:
    found = measured("sqlite", tmp_path, videos=12, crews=[1, 1])
    run, again = found["runs"]  # of as many workers, on the same videos
    assert again["sound"]
    assert run["sound"]
    assert run["trips"]["sql"] >= 10  # of which the benchmark would else tell nothing
    assert run["trips"]["redis"] >= 5
    assert found["intake"]["sql"] > 0
    assert 0 < run["overhead_milliseconds"]["pipeline"] < run["overhead_milliseconds"]["p99"]
    assert run["cpu_milliseconds"]["worker"] > 0
