"""`facewarden model-card`: the generated parts of docs/model-card.md, from the results beside the weights."""

from pathlib import Path

from core.errors import SettingsError
from evaluation.report.model_card import renewed
from evaluation.report.results import read_results


def renew(results: Path, card: Path, *, check: bool) -> bool:
    """Renew the card, or with `check` only compare; False where a checked card would change.

    Raises SettingsError where results or card are missing, or the card lacks a part.
    """
    try:
        before = card.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(setting=str(card), reason=error.strerror or "cannot be read") from error
    after = renewed(before, read_results(results))
    if check:
        return after == before
    card.write_text(after, encoding="utf-8")
    return True
