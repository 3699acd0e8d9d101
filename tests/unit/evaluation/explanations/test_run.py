"""The table of how far explanations hold."""

from evaluation.explanations.measure import RANDOM, SETTLED, Measured
from evaluation.explanations.run import as_markdown, summary


def row(name: str, way: str, deletion: float, **values: float) -> Measured:
    return Measured(
        name=name,
        group=name,
        method="tool",
        way=way,
        deletion=deletion,
        insertion=-deletion,
        samples=int(values["samples"]) if "samples" in values else None,
        r2=values.get("r2"),
        agreement=values.get("agreement"),
    )


ROWS = [
    row("a", RANDOM, -0.2),
    row("a", SETTLED, -0.5, samples=60, r2=0.9, agreement=1.0),
    row("b", RANDOM, -0.3),
    row("b", SETTLED, -0.1, samples=121, r2=0.7, agreement=0.5),
    row("c", RANDOM, -0.1),
    row("c", SETTLED, -0.6, samples=92, r2=0.8, agreement=0.6),
]


def test_medians_means_and_how_often_it_beats_chance() -> None:
    at_random, settled = summary(ROWS)
    assert (at_random["way"], at_random["r2"], at_random["better_than_random"]) == (RANDOM, None, 0.0)
    assert (settled["fakes"], settled["samples"], settled["r2"]) == (3, 92, 0.8)
    assert settled["agreement"] == sum((1.0, 0.5, 0.6)) / 3
    mean, low, high = settled["deletion"]
    assert low < mean < high
    assert round(mean, 6) == -0.4
    assert settled["better_than_random"] == 2 / 3


def test_the_table_has_a_line_for_each_way() -> None:
    lines = as_markdown({"checkpoint": "tiny", "summary": summary(ROWS)}).splitlines()
    assert [line.split(" | ")[0] for line in lines if line.startswith("| L")] == [f"| {SETTLED}"]
    assert any("| 3 | 92 | 0.80 | 0.70 |" in line for line in lines)
