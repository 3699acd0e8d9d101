"""The timeline of frame scores per face track, as numbers for a template to draw.

Horizontal positions are percentages, so that the drawing fits any width undistorted; vertical ones are
pixels.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from review.words import clock, percent, unfit

HEIGHT = 52  # pixels of a lane
MARGIN = 7  # pixels above a score of 1 and below a score of 0, so that marks are not cut off
LONGEST_GAP_SAMPLES = (
    2.5  # sample distances; a line across a longer gap would suggest scores that were not measured
)
MOST_MARKS = 600  # per lane: more could not be told apart and would make the page slow
NO_TIME = 0.001  # seconds, the duration of a still picture, to avoid dividing by zero
TICKS = 5  # maximum parts of the axis, whose labels must fit a narrow screen
STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)  # seconds between ticks


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A face in one sampled frame."""

    time_seconds: float
    score: float | None  # calibrated frame score, [0, 1]; None: not scored
    reason: str | None  # why it was not scored
    flagged: bool = False  # whether it is one of the flagged frames


@dataclass(frozen=True, kw_only=True)
class Mark:
    x: str  # percentage of the width
    y: float  # pixels from the top
    time_seconds: float
    kind: str  # "scored", "flagged" or "rejected"
    label: str


@dataclass(frozen=True, kw_only=True)
class Segment:
    x1: str
    y1: float
    x2: str
    y2: float


@dataclass(frozen=True, kw_only=True)
class Band:
    """A flagged part."""

    x: str  # start, in percent of the width
    width: str  # percentage
    label: str


@dataclass(frozen=True, kw_only=True)
class Lane:
    number: int
    letter: str  # the track's name on the page
    score: float | None
    summary: str  # for screen readers
    marks: list[Mark]
    segments: list[Segment]
    bands: list[Band]
    seen_from: str  # start of the face's presence, in percent
    seen_for: str  # length of its presence, in percent


@dataclass(frozen=True, kw_only=True)
class Tick:
    x: str
    label: str
    anchor: str  # of the text: "start", "middle" or "end"


def letter(number: int) -> str:
    """The name of track `number`, from 0: A, B, ... Z, AA, AB, ..."""
    text = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("A") + rest) + text
    return text


def height_of(score: float) -> float:
    """The position of a score in [0, 1] within a lane, in pixels from the top."""
    return round(MARGIN + (1 - score) * (HEIGHT - 2 * MARGIN), 1)


def has_time(duration: float) -> bool:
    """Whether it is more than a still picture."""
    return duration > NO_TIME


def share(seconds: float, duration: float) -> str:
    """A time as a percentage of the duration."""
    part = seconds / duration if duration > 0 else 0.0
    return f"{100 * min(1.0, max(0.0, part)):.3f}%"


def lane(
    number: int,
    samples: Sequence[Sample],
    *,
    duration: float,
    score: float | None,
    usable: int,
    ranges: Sequence[Sequence[float]] = (),
    blind: bool = False,
) -> Lane:
    """The drawing of one track with its flagged `ranges`; `blind` leaves out scores and flags."""
    ordered = sorted(samples, key=lambda sample: sample.time_seconds)
    first, last = (ordered[0].time_seconds, ordered[-1].time_seconds) if ordered else (0.0, 0.0)
    bands = [] if blind or not has_time(duration) else [_band(start, end, duration) for start, end in ranges]
    told = "" if blind else f", score {percent(score)}"
    flagged = f", {', '.join(band.label for band in bands)}" if bands else ""
    summary = (
        f"Face {letter(number)}: {clock(first)} to {clock(last)}, {usable} of {len(ordered)} frames "
        f"usable{told}{flagged}"
    )
    shown = _thinned(ordered)
    return Lane(
        number=number,
        letter=letter(number),
        score=None if blind else score,
        summary=summary,
        marks=[_mark(sample, duration, blind=blind) for sample in shown],
        segments=[] if blind else list(_segments(shown, duration)),
        bands=bands,
        seen_from=share(first, duration),
        seen_for=share(last - first, duration),
    )


def _band(start: float, end: float, duration: float) -> Band:
    return Band(
        x=share(start, duration),
        width=share(end - start, duration),
        label=f"flagged from {clock(start)} to {clock(end)}",
    )


def _thinned(samples: Sequence[Sample]) -> Sequence[Sample]:
    """About MOST_MARKS samples at most: the highest of neighbouring ones, and all flagged frames."""
    if len(samples) <= MOST_MARKS:
        return samples
    together = -(-len(samples) // MOST_MARKS)
    kept: list[Sample] = []
    for start in range(0, len(samples), together):
        neighbours = samples[start : start + together]
        highest = max(neighbours, key=lambda sample: -1.0 if sample.score is None else sample.score)
        kept += [sample for sample in neighbours if sample.flagged or sample is highest]
    return kept


def _mark(sample: Sample, duration: float, *, blind: bool) -> Mark:
    at = clock(sample.time_seconds)
    x = share(sample.time_seconds, duration)
    if sample.score is None:
        y, kind, label = HEIGHT - 4.0, "rejected", f"{at}: not scored, {unfit(sample.reason)}"
    elif blind:
        y, kind, label = HEIGHT / 2, "scored", at
    else:
        kind = "flagged" if sample.flagged else "scored"
        y, label = height_of(sample.score), f"{at}: {percent(sample.score)}"
    return Mark(x=x, y=y, time_seconds=sample.time_seconds, kind=kind, label=label)


def _segments(samples: Sequence[Sample], duration: float) -> Iterable[Segment]:
    """Lines between neighbouring samples that both have a score."""
    distances = sorted(b.time_seconds - a.time_seconds for a, b in pairwise(samples))
    longest = LONGEST_GAP_SAMPLES * distances[len(distances) // 2] if distances else 0.0
    for a, b in pairwise(samples):
        if a.score is None or b.score is None or b.time_seconds - a.time_seconds > longest:
            continue
        yield Segment(
            x1=share(a.time_seconds, duration),
            y1=height_of(a.score),
            x2=share(b.time_seconds, duration),
            y2=height_of(b.score),
        )


def ticks(duration: float) -> list[Tick]:
    """The ticks of the time axis, at round times."""
    if duration <= 0:
        return []
    step = next((step for step in STEPS if duration / step <= TICKS), duration)
    times = [number * step for number in range(int(duration / step) + 1)]
    return [
        Tick(x=share(time, duration), label=clock(time), anchor=_anchor(time / duration)) for time in times
    ]


def _anchor(part: float) -> str:
    return "start" if part < 0.03 else "end" if part > 0.97 else "middle"


def duration_of(stated: float | None, times: Collection[float]) -> float:
    """The duration that the timeline shows: as the file states, but at least to the last sample."""
    return max([stated or 0.0, *times, NO_TIME])
