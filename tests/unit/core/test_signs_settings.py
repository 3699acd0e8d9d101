"""Signs of life are shown nowhere by default, and never to just anybody by accident."""

import pytest

from core.errors import SettingsError
from core.settings import Settings

TOKEN = "a-token-of-operators"  # noqa: S105  of these tests


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"PORT": "9400"}, "with a PORT set a TOKEN"),
        ({"PORT": "9400", "TOKEN": ""}, "shorter than 16"),
        ({"TOKEN": "short"}, "shorter than 16"),
        ({"PORT": "9400", "TOKEN": "a token with blanks"}, "no header can carry"),
        ({"PORT": "9400", "TOKEN": "sixteen-letters-ä"}, "no header can carry"),
        ({"PORT": "70000", "TOKEN": TOKEN}, "65535"),
    ],
)
def test_what_would_be_open_or_useless_is_refused(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], reason: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"FACEWARDEN_SIGNS__{name}", value)
    with pytest.raises(SettingsError, match=reason) as refused:
        Settings.read()
    assert "FACEWARDEN_SIGNS" in str(refused.value)


@pytest.mark.parametrize("given", [{}, {"PORT": "9400", "TOKEN": TOKEN}, {"PORT": "9400", "OPEN": "true"}])
def test_what_is_allowed(monkeypatch: pytest.MonkeyPatch, given: dict[str, str]) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"FACEWARDEN_SIGNS__{name}", value)
    assert (Settings.read().signs.port is None) == (not given)
    assert TOKEN not in repr(Settings.read())
