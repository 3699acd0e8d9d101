from bisect import bisect_left, bisect_right
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.sampling import Rank, Sample, expected_samples, plan_samples, sample_count


@st.composite
def videos(draw: st.DrawFn) -> tuple[list[float], list[int], int]:
    """Presentation times, ranks, and how many samples are wanted."""
    gaps = draw(st.lists(st.floats(0, 1e4, allow_subnormal=False), min_size=1, max_size=200))
    start = draw(st.floats(-1e6, 1e6))
    times = [start]
    for gap in gaps[1:]:
        times.append(times[-1] + gap)
    ranks = draw(st.lists(st.sampled_from(Rank), min_size=len(times), max_size=len(times)))
    return times, [int(rank) for rank in ranks], draw(st.integers(1, len(times)))


@given(videos())
def test_as_many_samples_as_wanted_in_order_and_apart(video: tuple[list[float], list[int], int]) -> None:
    times, ranks, count = video
    samples = plan_samples(times, ranks, count)
    assert len(samples) == count
    assert all(sample.first <= sample.frame < sample.end for sample in samples)
    assert all(before.end <= after.first for before, after in pairwise(samples))
    assert samples[0].first == 0
    assert samples[-1].end == len(times)


@given(videos())
def test_no_frame_of_a_better_rank_is_passed_over(video: tuple[list[float], list[int], int]) -> None:
    times, ranks, count = video
    for sample in plan_samples(times, ranks, count):
        assert ranks[sample.frame] == min(ranks[sample.first : sample.end])


@given(videos())
def test_every_slot_that_has_a_frame_is_looked_at(video: tuple[list[float], list[int], int]) -> None:
    times, ranks, count = video
    samples = plan_samples(times, ranks, count)
    slot = (times[-1] - times[0]) * len(times) / max(len(times) - 1, 1) / count
    for i in range(count):
        # A hair inside the slot's edges, where rounding cannot move a frame to its neighbour.
        low, high = times[0] + slot * (i + 1e-6), times[0] + slot * (i + 1 - 1e-6)
        if bisect_left(times, low) < bisect_right(times, high):
            assert any(low - slot * 1e-5 <= times[s.frame] <= high + slot * 1e-5 for s in samples)


def test_a_slot_without_keyframe_gives_the_frame_nearest_to_its_middle() -> None:
    samples = plan_samples([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], bytes([1] * 8), 2)
    assert [sample.frame for sample in samples] == [2, 6]


def test_a_keyframe_wins_wherever_it_is_in_its_slot() -> None:
    ranks = [0, 1, 1, 1, 1, 1, 1, 0]
    samples = plan_samples([float(i) for i in range(8)], ranks, 2)
    assert [sample.frame for sample in samples] == [0, 7]


def test_a_jump_in_the_timestamps_does_not_thin_out_the_rest() -> None:
    """Ten seconds of video, a jump of an hour, one last frame: nine of ten samples see the video."""
    times = [i / 25 for i in range(250)] + [3600.0]
    samples = plan_samples(times, bytes([1] * 251), 10)
    assert samples[-1] == Sample(frame=250, first=250, end=251)
    seen = [times[sample.frame] for sample in samples[:-1]]
    assert len(seen) == 9
    assert max(b - a for a, b in zip([0.0, *seen], [*seen, 10.0], strict=True)) < 1.5


@pytest.mark.parametrize(
    ("frames", "seconds", "count"),
    [
        (300, 10.0, 20),  # two a second
        (25, 1.0, 8),  # at least eight
        (5, 0.2, 5),  # but never more than there are
        (1, 0.04, 1),
        (54_000, 1800.0, 64),  # at most 64
        (10, 1e300, 10),  # a forged duration
    ],
)
def test_sample_count(frames: int, seconds: float, count: int) -> None:
    assert sample_count(frames, seconds, per_second=2.0, least=8, most=64) == count


@given(st.integers(1, 1000), st.floats(1e-6, 1, exclude_max=True))
def test_a_file_that_was_cut_off_never_counts_as_whole(planned: int, share: float) -> None:
    assert expected_samples(planned, 1.0) == planned
    assert planned / expected_samples(planned, share) <= share or expected_samples(planned, share) > planned
    assert expected_samples(planned, share) > planned
