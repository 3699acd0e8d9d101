"""No cell of an export is a formula."""

from hypothesis import given
from hypothesis import strategies as st

from core.spreadsheets import FORMULA_BEGINS, cell, quoted, unquoted


@given(st.text(max_size=40))
def test_a_text_is_kept_or_made_plain(text: str) -> None:
    made = cell(text)
    assert made in {text, f"'{text}"}
    assert not made.startswith(FORMULA_BEGINS)


@given(st.text("='-+ab", max_size=5) | st.text(max_size=9))
def test_what_is_quoted_comes_back(text: str) -> None:
    assert unquoted(quoted(text)) == text
    assert not quoted(text).startswith(FORMULA_BEGINS)


def test_numbers_stay_numbers() -> None:
    assert [cell(-0.5), cell(None), cell(True)] == [-0.5, None, True]
