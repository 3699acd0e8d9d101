"""Two verdicts on the same videos, as tables."""

from collections import Counter
from collections.abc import Mapping

from rich.table import Table

from cli.tables import coloured
from core.errors import printable
from core.flips import Flip
from core.outcomes import Verdict


def matrix(videos: Mapping[Flip, int], first: str, second: str) -> Table:
    """How many videos have each pair of verdicts: the first down, the second across."""
    cells: Counter[tuple[str, str]] = Counter()
    for each, number in videos.items():
        cells[each.before, each.after] += number
    across = [verdict for verdict in Verdict if any(after == verdict for _, after in cells)]
    table = Table(first, *(f"{second} {coloured(each)}" for each in across), title="verdicts")
    for down in Verdict:
        if any(before == down for before, _ in cells):
            table.add_row(coloured(down), *(f"{cells[down, each]:,}" for each in across))
    return table


def flip_table(flips: Mapping[Flip, int], first: str, second: str) -> Table:
    """What differs, by source and by what reviewers said last; most videos first."""
    table = Table("source", "decision", first, second, "videos", title="flips")
    for each, number in sorted(flips.items(), key=lambda entry: (-entry[1], entry[0])):
        table.add_row(
            printable(each.source), each.decision, coloured(each.before), coloured(each.after), f"{number:,}"
        )
    return table
