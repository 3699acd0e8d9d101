"""The benchmark of backfills, small: what a kill with SIGKILL leaves undone is done, and nothing twice."""

from pathlib import Path

import pytest

from bench.backfill import __main__ as backfill


@pytest.mark.slow
def test_a_killed_backfill_goes_on_without_a_gap_or_a_double(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in backfill.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    outcome = backfill.measured(tmp_path, keys=3000, new_every=100, kills=1)
    assert (outcome.keys, outcome.new, outcome.kills) == (3000, 30, 1)
    assert (outcome.missing, outcome.doubled) == (0, 0)
    assert outcome.read_again <= 6  # what was in the threads' hands
