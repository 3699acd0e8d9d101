"""Plots as numbers for templates to draw as SVG: bars and lines over days, shares of a whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

WIDTH, HEIGHT = 640.0, 180.0  # size of the drawing, in SVG units
LEFT, BOTTOM, TOP = 40.0, 22.0, 8.0  # room for the labels
GRID_LINES = 4
MOST_LABELS = 7  # days labelled below the axis


@dataclass(frozen=True, kw_only=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    kind: str  # CSS class
    label: str  # shown on hover


@dataclass(frozen=True, kw_only=True)
class Point:
    x: float
    y: float
    label: str


@dataclass(frozen=True, kw_only=True)
class Line:
    path: str  # SVG path data; interrupted where a value is missing
    points: list[Point]


@dataclass(frozen=True, kw_only=True)
class Axis:
    labels: list[tuple[float, str]]  # x and text of labelled days
    grid: list[tuple[float, str]]  # y and text of labelled values


def ceiling(largest: float) -> float:
    """The round number at or above `largest` where an axis ends."""
    if largest <= 0:
        return 1.0
    step = 1.0
    while step * 10 < largest:
        step *= 10
    return next(step * factor for factor in (1, 2, 4, 5, 8, 10) if step * factor >= largest)


def axis(days: Sequence[date], top: float, *, percent: bool = False) -> Axis:
    """Labels for the days and the values of a plot over [0, `top`]."""
    every = max(1, -(-len(days) // MOST_LABELS))
    labels = [(_middle(number, len(days)), f"{day:%d %b}") for number, day in enumerate(days)]
    # Whole numbers only get lines at whole numbers.
    lines = GRID_LINES if percent else next(n for n in (4, 5, 3, 2, 1) if top % n == 0)
    values = [top * number / lines for number in range(lines + 1)]
    return Axis(
        # Counted back from today, so that today is always labelled.
        labels=labels[::-1][::every][::-1],
        grid=[(_height(value, top), f"{value:.0%}" if percent else f"{value:,.0f}") for value in values],
    )


def bars(
    days: Sequence[date], series: Mapping[str, Sequence[int]], top: float, *, names: Mapping[str, str]
) -> list[Bar]:
    """Grouped bars, one per series and day, over [0, `top`]."""
    slot = (WIDTH - LEFT) / max(1, len(days))
    width = 0.72 * slot / max(1, len(series))
    return [
        Bar(
            x=round(_middle(number, len(days)) + (place - len(series) / 2) * width, 2),
            y=_height(values[number], top),
            width=round(width, 2),
            height=round(_height(0, top) - _height(values[number], top), 2),
            kind=kind,
            label=f"{day:%d %b}: {values[number]:,} {names[kind]}",
        )
        for place, (kind, values) in enumerate(series.items())
        for number, day in enumerate(days)
        if values[number]
    ]


def line(days: Sequence[date], values: Sequence[float | None], top: float) -> Line:
    """A line over the days and [0, `top`]; a day without a value interrupts it."""
    points: list[Point | None] = [
        None
        if value is None
        else Point(
            x=round(_middle(number, len(days)), 2),
            y=_height(value, top),
            label=f"{day:%d %b}: {value:.1%}",
        )
        for number, (day, value) in enumerate(zip(days, values, strict=True))
    ]
    steps = [f"M{a.x} {a.y}L{b.x} {b.y}" for a, b in pairwise(points) if a is not None and b is not None]
    return Line(path="".join(steps), points=[point for point in points if point is not None])


def shares(numbers: Mapping[str, int]) -> list[Bar]:
    """One horizontal bar divided into shares; empty shares are left out."""
    total = sum(numbers.values())
    found: list[Bar] = []
    x = 0.0
    for kind, number in numbers.items():
        if not number:
            continue
        width = WIDTH * number / total
        label = f"{number:,} ({number / total:.0%})"
        found.append(Bar(x=round(x, 2), y=0, width=round(width, 2), height=28, kind=kind, label=label))
        x += width
    return found


def histogram(counts: Sequence[int], kind: str) -> list[Bar]:
    """Bars of equal width over [0, 1], with heights relative to the highest one."""
    fullest = max(counts, default=0)
    if not fullest:
        return []
    total = sum(counts)
    width = (WIDTH - LEFT) / len(counts)
    floor = HEIGHT - BOTTOM
    return [
        Bar(
            x=round(LEFT + number * width + 1, 2),
            y=round(floor - (floor - TOP) * count / fullest, 2),
            width=round(width - 2, 2),
            height=round((floor - TOP) * count / fullest, 2),
            kind=kind,
            label=f"{number / len(counts):.0%} to {(number + 1) / len(counts):.0%}: {count / total:.1%}",
        )
        for number, count in enumerate(counts)
        if count
    ]


def _middle(number: int, days: int) -> float:
    return LEFT + (number + 0.5) * (WIDTH - LEFT) / max(1, days)


def _height(value: float, top: float) -> float:
    floor = HEIGHT - BOTTOM
    return round(floor - (floor - TOP) * min(1.0, value / top), 2)
