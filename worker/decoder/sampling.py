"""Which frames of a video are sampled: arithmetic over presentation times, nothing else.

How many depends on the length: a short video is sampled densely, a long one still often enough that nothing
that lasts goes unseen (`SampleRate`).

The video is cut into as many slots of equal length as samples are wanted. A slot's sample is its
keyframe, because that is the cheapest to reach and the least smoothed; without one, the frame
nearest to the slot's middle. Slots without a frame (a video with a long frozen passage, a jump
in the timestamps) pass their sample to the slots with the most.

Keyframes at the far ends of two slots would leave nearly two slots between samples: in a long video,
samples are never more than `STRETCH` steps apart for the sake of a keyframe.
"""

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from math import ceil, inf


class Rank(IntEnum):
    """How cheap a frame is to sample; lower is better."""

    KEYFRAME = 0  # decodes alone
    REFERENCE = 1  # has to be decoded anyway, for those that depend on it
    DISPOSABLE = 2  # nothing depends on it: decoding it costs extra


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One frame to look at. Numbers count the video's frames in order of presentation, from 0."""

    frame: int  # the chosen one
    first: int  # `first` to `end` (exclusive): frames that may stand in for it if it cannot be decoded
    end: int


STRETCH = 1.5  # steps that may lie between two samples of a long video, so that keyframes can be taken


@dataclass(frozen=True, kw_only=True)
class SampleRate:
    """How often a video is sampled; of the three rates, the one that asks for the most frames applies."""

    per_second: float  # frames of a short video,
    short: int  # and how many that gives at most
    step_seconds: float  # a longer one is looked at once in so long,
    stepped: int  # and how many that gives at most
    long_step_seconds: float  # and a still longer one
    least: int  # frames, where there are so many
    most: int  # frames, however long

    def count(self, frames: int, seconds: float) -> int:
        """How many of `frames` frames, lasting `seconds`, are sampled; never more than there are."""
        wanted = max(
            min(seconds * self.per_second, self.short),
            min(seconds / self.step_seconds, self.stepped),
            min(seconds / self.long_step_seconds, self.most),  # a hostile duration may be huge
        )
        return min(max(round(wanted), self.least), self.most, frames)

    def longest_wait(self, count: int, seconds: float) -> float:
        """Seconds allowed between two of `count` samples, where there are frames to sample.

        A short video may take its keyframes wherever they are.
        """
        return STRETCH * max(seconds / max(count, 1), self.step_seconds)


def plan_samples(
    times: Sequence[float], ranks: Sequence[int], count: int, *, longest_wait: float = inf
) -> list[Sample]:
    """Choose `count` frames, spread evenly over the time that `times` spans.

    Args:
        times: presentation time of each frame in seconds (or any unit), ascending.
        ranks: a `Rank` for each frame.
        count: samples wanted, at most `len(times)`.
        longest_wait: time from one sample within which the next one is taken, where there is a frame.

    Returns the samples in order of presentation; their stand-in ranges do not overlap.
    """
    slots = _slots(times, count)
    samples: list[Sample] = []
    for (first, end, middle), quota in zip(slots, _quotas(slots, count), strict=True):
        for run_first, run_end in _runs(first, end, quota):
            centre = middle if quota == 1 else (times[run_first] + times[run_end - 1]) / 2
            near = run_end
            if samples and longest_wait < inf:
                latest = times[samples[-1].frame] + longest_wait
                near = max(bisect_right(times, latest, run_first, run_end), run_first + 1)
            # Of equals the earlier, so that a plan is the same on every machine.
            _, _, chosen = min((ranks[i], abs(times[i] - centre), i) for i in range(run_first, near))
            samples.append(Sample(frame=chosen, first=run_first, end=run_end))
    return samples


def longest_unseen(times: Sequence[float], seconds: float) -> float:
    """The longest time in a video of `seconds` without one of the sample `times`.

    Args:
        times: of the samples that came undamaged, in seconds on a player's clock.
    """
    seen = sorted([0.0, *times, seconds])
    return max(after - before for before, after in pairwise(seen))


def expected_samples(planned: int, share: float) -> int:
    """Samples that the whole video would have given, when `planned` come from a `share` of it.

    A file that was cut off declares more than it holds; `share` in (0, 1] is the part that is there.
    """
    return planned if share >= 1 else max(planned + 1, ceil(planned / share))


def _slots(times: Sequence[float], count: int) -> list[tuple[int, int, float]]:
    """Per slot: its first frame, the frame after its last, the time of its middle."""
    if count <= 0:
        return []
    start = times[0]
    # The last frame is shown as long as the average one: its slot ends then, not when it appears.
    frame = (times[-1] - start) / max(len(times) - 1, 1)
    length = (times[-1] - start + frame) / count
    edges = [bisect_left(times, start + length * i) for i in range(count)] + [len(times)]
    edges[0] = 0
    return [(edges[i], edges[i + 1], start + length * (i + 0.5)) for i in range(count)]


def _quotas(slots: list[tuple[int, int, float]], count: int) -> list[int]:
    """Samples per slot: one each, and those of empty slots go where there are most frames."""
    quotas = [1 if end > first else 0 for first, end, _ in slots]
    crowded = [(-(end - first) / 2, i) for i, (first, end, _) in enumerate(slots) if end - first > 1]
    heapq.heapify(crowded)
    for _ in range(count - sum(quotas)):
        _, i = heapq.heappop(crowded)
        quotas[i] += 1
        frames = slots[i][1] - slots[i][0]
        if frames > quotas[i]:
            heapq.heappush(crowded, (-frames / (quotas[i] + 1), i))
    return quotas


def _runs(first: int, end: int, quota: int) -> Iterator[tuple[int, int]]:
    for i in range(quota):
        yield first + i * (end - first) // quota, first + (i + 1) * (end - first) // quota
