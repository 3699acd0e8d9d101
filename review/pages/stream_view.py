"""A live stream as the page draws it: its curve of the last minutes, its alerts as bands, its faces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from review.words import clock
from storage.streams.requests import AlertView

SPAN_SECONDS = 300.0  # of stream time that the curve shows at least
LABELS = 5


@dataclass(frozen=True, kw_only=True)
class Part:
    """A rectangle over some time, in percent of the width."""

    x: str
    width: str
    label: str


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The curve; x in percent of the width, y in percent of the height."""

    steps: list[tuple[str, str, str, str]]  # x1, y1, x2, y2 of each line
    alerts: list[Part]
    unseen: list[Part]
    ticks: list[tuple[str, str, str]]  # x, anchor and text
    summary: str  # for who does not see it


def curve(now: Mapping[str, Any] | None, alerts: Sequence[AlertView], position: float) -> Curve:
    """What the last minutes looked like."""
    points = [] if now is None else list(now["points"])
    end = max(position, SPAN_SECONDS)
    start = min([end - SPAN_SECONDS, *(point["seconds"] for point in points[:1])])

    def x(seconds: float) -> str:
        return f"{100 * min(max((seconds - start) / (end - start), 0.0), 1.0):.2f}%"

    def part(first: float, last: float, label: str) -> Part:
        width = max(100 * (min(last, end) - max(first, start)) / (end - start), 0.3)
        return Part(x=x(first), width=f"{width:.2f}%", label=label)

    scored = [
        (point, other) for point, other in pairwise(points) if None not in (point["score"], other["score"])
    ]
    bands = [
        part(
            each.start_seconds, each.end_seconds, f"{clock(each.start_seconds)} to {clock(each.end_seconds)}"
        )
        for each in alerts
        if each.end_seconds >= start
    ]
    unseen = [
        part(before["seconds"], point["seconds"], "not all was seen")
        for before, point in pairwise(points)
        if point["unseen"]
    ]
    ticks = [
        (
            f"{100 * number / (LABELS - 1):.0f}%",
            _anchor(number),
            clock(start + (end - start) * number / (LABELS - 1)),
        )
        for number in range(LABELS)
    ]
    return Curve(
        steps=[(x(a["seconds"]), _y(a["score"]), x(b["seconds"]), _y(b["score"])) for a, b in scored],
        alerts=bands,
        unseen=unseen,
        ticks=ticks,
        summary=f"The highest score of a face from {clock(start)} to {clock(end)}; {len(bands)} alerts",
    )


def _y(score: float) -> str:
    return f"{96 - 92 * score:.2f}%"


def _anchor(number: int) -> str:
    return "start" if number == 0 else "end" if number == LABELS - 1 else "middle"
