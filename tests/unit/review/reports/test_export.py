"""No cell of an export is a formula."""

import csv
from io import StringIO

from hypothesis import given
from hypothesis import strategies as st

from core.spreadsheets import cell
from review.reports.export import _csv


def test_counts_are_one_cell() -> None:
    written = "".join(_csv(iter([{"rejected_faces": {"turned": 18, "small": 2}}, {"rejected_faces": {}}])))
    assert [row[0] for row in csv.reader(StringIO(written, newline=""))][1:] == ["turned 18, small 2", ""]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=1, max_size=5))
def test_a_row_comes_back_whole_whatever_is_in_it(texts: list[str]) -> None:
    written = "".join(_csv(iter([dict(enumerate(texts))])))
    _, row = csv.reader(StringIO(written, newline=""))
    assert row == [cell(text) for text in texts]
