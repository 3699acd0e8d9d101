"""Encoding a clip leaves the process as it was scheduled."""

import os
from pathlib import Path

from fuzz.scheduling import scheduling_kept
from tests.media import Media


def test_av1_does_not_make_the_process_a_real_time_one(tmp_path: Path) -> None:
    before = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
    assert Media(tmp_path).video("clip.mkv", codec="libsvtav1", frames=2).stat().st_size
    assert (os.sched_getscheduler(0), os.sched_getparam(0).sched_priority) == before


def test_another_policy_is_taken_back() -> None:
    before = os.sched_getscheduler(0)
    with scheduling_kept():
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    assert os.sched_getscheduler(0) == before
