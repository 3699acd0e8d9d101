"""Settings read from files, as containers are given their secrets: `FACEWARDEN_DATABASE_URL_FILE`."""

from collections.abc import Mapping
from pathlib import Path

from core.errors import SettingsError

ENDING = "_file"
MOST_BYTES = 64 * 1024


def resolved(environment: Mapping[str, str | None], prefix: str) -> dict[str, str | None]:
    """The environment, in which `<prefix>…_FILE` gave way to the name without the ending and the file's text.

    All names are in lower case, and so is `prefix`. The line's end at the file's end is no part of it.
    Raises SettingsError where the file cannot be read, or the setting itself is given as well.
    """
    found = dict(environment)
    for name, path in environment.items():
        if not (name.startswith(prefix) and name.endswith(ENDING)):
            continue
        del found[name]
        setting = name.removesuffix(ENDING)
        if not path:
            continue
        if environment.get(setting):
            reason = f"it is given, and so is {name.upper()}; remove one of them"
            raise SettingsError(setting=setting.upper(), reason=reason)
        found[setting] = _content(name.upper(), Path(path))
    return found


def _content(setting: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = f"{path} cannot be read ({getattr(error, 'strerror', None) or 'it is no UTF-8 text'})"
        raise SettingsError(setting=setting, reason=reason) from error
    if len(content) > MOST_BYTES:
        raise SettingsError(setting=setting, reason=f"{path} is longer than {MOST_BYTES} bytes")
    return text.rstrip("\r\n")
