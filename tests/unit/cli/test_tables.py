"""How verdicts look on a terminal."""

import io

import pytest
from rich.console import Console

from cli.tables import coloured, note, percent, verdict_table


def _shown(*rows: tuple[str, ...]) -> list[str]:
    """The lines of a table on a terminal of 80 columns."""
    table = verdict_table("results", "video", "verdict", "score", "tracks")
    for row in rows:
        table.add_row(*row)
    written = io.StringIO()
    Console(file=written, width=80).print(table)
    return written.getvalue().splitlines()


def test_verdict_and_score_are_whole_words_at_80_columns() -> None:
    said = note(family="swap", family_probability=0.71, coverage=0.5, partial=True)
    lines = _shown(
        ("holiday/2026/interview-with-a-long-name.mp4", coloured("suspect"), percent(0.924), "3", said),
        (
            "broken.mp4",
            coloured("failed:decoder_killed"),
            "-",
            "-",
            "broken.mp4: the decoder needed more memory than allowed.",
        ),
    )
    assert all(len(line) <= 80 for line in lines)
    text = "\n".join(lines)
    for word in ("suspect", "92.4%", "failed:decoder_killed", "swap,", "50.0%", "decoder"):
        assert word in text


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"coverage": 1.0}, ""),
        ({"coverage": 1.0, "partial": True}, "100.0% seen"),
        ({"coverage": 0.25}, "25.0% seen"),
        ({"family": "swap", "family_probability": 0.71}, "most like face swap, 0.71"),
        ({"rejected_faces": {"turned": 3}}, "not scored: 3 turned away"),
    ],
)
def test_the_note_tells_only_what_is_unusual(facts: dict[str, object], expected: str) -> None:
    assert note(**facts) == expected  # type: ignore[arg-type]
