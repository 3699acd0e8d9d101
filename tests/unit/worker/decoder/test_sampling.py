from bisect import bisect_left, bisect_right
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.settings import SamplingSettings
from worker.decoder.reader import sample_rate
from worker.decoder.sampling import Rank, Sample, SampleRate, expected_samples, longest_unseen, plan_samples


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


def rate(**changed: float) -> SampleRate:
    """The one that the settings give."""
    return sample_rate(SamplingSettings.model_validate(changed))


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
    assert rate(max_frames=64).count(frames, seconds) == count


@pytest.mark.parametrize(
    ("seconds", "count"),
    [
        (5, 10),
        (32, 64),
        (128, 64),  # one every two seconds
        (700, 350),
        (3600, 1800),
        (9000, 1800),  # one every five
        (6 * 3600, 4320),
        (1e300, 4320),
    ],
)
def test_long_videos_are_looked_at_so_often_that_nothing_passes_unseen(seconds: float, count: int) -> None:
    assert rate().count(10**9, seconds) == count


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_a_longer_video_is_never_looked_at_less(one: float, other: float) -> None:
    shorter, longer = sorted((one, other))
    assert rate().count(10**9, shorter) <= rate().count(10**9, longer) <= 4320


@settings(max_examples=30, deadline=None)
@given(st.floats(96, 6000.0), st.floats(0.3, 20), st.randoms(use_true_random=False))
@pytest.mark.slow
def test_no_keyframe_is_waited_for_too_long(seconds: float, distance: float, random: Random) -> None:
    """Whatever the distance of the keyframes, and wherever they lie."""
    frames = round(seconds * 2)
    times = [i / 2 for i in range(frames)]
    ranks = [Rank.REFERENCE] * frames
    at = random.uniform(0, distance)
    while at < seconds - 1:
        ranks[int(at * 2)] = Rank.KEYFRAME
        at += distance * random.uniform(0.5, 1.5)
    count = rate().count(frames, seconds)
    wait = rate().longest_wait(count, seconds)
    taken = [times[sample.frame] for sample in plan_samples(times, ranks, count, longest_wait=wait)]
    assert len(taken) == count
    assert longest_unseen(taken, seconds) <= wait <= 1.5 * max(2.0, seconds / count)


def test_a_short_video_takes_its_keyframes_wherever_they_are() -> None:
    times = [i / 25 for i in range(250)]
    ranks = [Rank.KEYFRAME if i % 24 == 0 else Rank.REFERENCE for i in range(250)]
    free = plan_samples(times, ranks, 20)
    assert plan_samples(times, ranks, 20, longest_wait=rate().longest_wait(20, 10.0)) == free


@pytest.mark.parametrize(
    ("times", "seconds", "longest"),
    [
        ([0.5, 1.5, 2.5], 3.0, 1.0),
        ([2.0, 3.0], 4.0, 2.0),  # before the first
        ([0.0, 1.0], 10.0, 9.0),  # after the last: the file was cut off
        ([], 7.0, 7.0),
        ([0.0], 0.0, 0.0),  # a still
        ([0.0, 8.0], 5.0, 5.0),  # a sample beyond the declared end hides nothing
    ],
)
def test_the_longest_stretch_that_nobody_looked_at(
    times: list[float], seconds: float, longest: float
) -> None:
    assert longest_unseen(times, seconds) == longest


@given(st.integers(1, 1000), st.floats(1e-6, 1, exclude_max=True))
def test_a_file_that_was_cut_off_never_counts_as_whole(planned: int, share: float) -> None:
    assert expected_samples(planned, 1.0) == planned
    assert planned / expected_samples(planned, share) <= share or expected_samples(planned, share) > planned
    assert expected_samples(planned, share) > planned
