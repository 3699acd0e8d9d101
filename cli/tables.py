"""How verdicts and scores look on a terminal."""

from collections.abc import Mapping

from rich.table import Table

from core.model_version import UNTRAINED_LABEL
from review.words import most_like, reasons

COLOURS = {"fake": "bold red", "suspect": "yellow", "clear": "green", "unjudged": "cyan"}


def coloured(verdict: str | None) -> str:
    """A verdict in rich's markup; failures are magenta, verdicts without a score dim."""
    if verdict is None:
        return "[dim]-[/]"
    colour = "magenta" if verdict.startswith("failed") else COLOURS.get(verdict, "dim")
    return f"[{colour}]{verdict}[/]"


def percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}%"


def printed_label(version: str, label: str) -> str:
    """A model version; one of a short training run says so in yellow."""
    return (
        f"{version} [yellow]({label}: not evidence)[/]"
        if label == UNTRAINED_LABEL
        else f"{version} ({label})"
    )


def verdict_table(title: str, *columns: str) -> Table:
    """A table with a note as its last column, which gets what the others leave of 80 columns."""
    table = Table(title=title)
    for place, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=0 < place < len(columns) - 1)
    table.add_column("note", overflow="fold", ratio=1)
    return table


def note(
    *,
    family: str | None = None,
    family_probability: float | None = None,
    coverage: float | None = None,
    partial: bool = False,
    rejected_faces: Mapping[str, int] | None = None,
) -> str:
    """What else is to be said: "most like face swap, 0.71; 50.0% seen; not scored: 3 turned away"."""
    parts = []
    if family is not None:
        parts.append(f"most like {most_like(family, family_probability)}")
    if coverage is not None and (partial or coverage < 1):
        parts.append(f"{percent(coverage)} seen")
    if rejected_faces:
        parts.append(f"not scored: {reasons(rejected_faces)}")
    return "; ".join(parts)
