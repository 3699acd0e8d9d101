import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import TooCostly
from core.settings import DecodeSettings
from worker.decoder.budget import GIGAPIXEL, Budget, Limits
from worker.decoder.reader import limits

LIMITS = Limits(pixels=1000, cpu_seconds=2.0, cpu_seconds_per_pixel=0.01)


def budget(seconds: float = 0.0) -> Budget:
    return Budget(LIMITS, name="clip.mp4", clock=lambda: seconds)


def test_pixels_beyond_the_limit_are_refused_with_the_setting_that_allows_them() -> None:
    spent = budget()
    spent.decode(400)
    spent.decode(600)
    with pytest.raises(TooCostly) as refused:
        spent.decode(1)
    assert str(refused.value).startswith("clip.mp4: the number of pixels in all its frames exceeds")
    assert "FACEWARDEN_DECODE__GIGAPIXELS_PER_MEGABYTE" in str(refused.value)


def test_cpu_time_grows_with_what_was_decoded() -> None:
    spent = budget(seconds=4.0)
    with pytest.raises(TooCostly, match="FACEWARDEN_DECODE__CPU_SECONDS"):
        spent.check()
    spent.decode(300)
    spent.check()  # 2 s, and 3 s for the pixels


def test_converting_does_not_count_however_slow_the_machine_is() -> None:
    now = 1.0
    spent = Budget(LIMITS, name="clip.mp4", clock=lambda: now)
    for _ in range(100):
        with spent.excused():
            now += 5.0
        spent.check()
    now += 1.5
    with pytest.raises(TooCostly, match="CPU time"):  # what is not converting goes on counting
        spent.check()


@given(small=st.integers(1, 10**9), more=st.integers(0, 10**9))
def test_a_larger_file_may_cost_more(small: int, more: int) -> None:
    first, second = limits(DecodeSettings(), small), limits(DecodeSettings(), small + more)
    assert first.pixels <= second.pixels
    assert first.cpu_seconds <= second.cpu_seconds
    assert first.most_cpu_seconds <= second.most_cpu_seconds


def test_honest_files_stay_far_below_and_cheap_tricks_do_not() -> None:
    # A minute of 1080p30, each frame decoded, at a bit rate that is low for it: 2 Mbit/s.
    assert 0.01 * limits(DecodeSettings(), 15_000_000).pixels > 60 * 30 * 1920 * 1080
    # A scene that stands still for an hour: 50 bytes a frame.
    assert limits(DecodeSettings(), 50 * 3600 * 30).pixels > 3600 * 30 * 1920 * 1080
    # 11 kB that paint a canvas of four megapixels 500 times.
    assert limits(DecodeSettings(), 11_500).pixels < 500 * 2000 * 2000
    assert limits(DecodeSettings(), 11_500).pixels < 1.2 * GIGAPIXEL
