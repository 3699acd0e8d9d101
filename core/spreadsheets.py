"""Text in cells of CSV files, which a spreadsheet may take for a formula."""

from typing import Any

# A spreadsheet treats a cell that begins like this as a formula (OWASP, "CSV Injection"), and file names are
# untrusted. The apostrophe makes it text.
FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
APOSTROPHE = "'"


def cell(value: Any) -> Any:
    """`value`, escaped so that no spreadsheet runs it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_BEGINS) else value


def quoted(text: str) -> str:
    """As `cell`, but `unquoted` gives the very same text back."""
    return APOSTROPHE + text if text.startswith((APOSTROPHE, *FORMULA_BEGINS)) else text


def unquoted(text: str) -> str:
    """What `quoted` was given."""
    return text.removeprefix(APOSTROPHE)
