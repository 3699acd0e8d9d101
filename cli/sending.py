"""`facewarden upload`: files to an installation elsewhere."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from core.errors import InputError, ServerRefused, SettingsError, printable
from core.outcomes import ScreeningStatus
from core.priorities import Priority
from core.settings import Settings
from facewarden.client import Client, Status, Uploaded
from ingest.bucket import named_files

Tell = Callable[[dict[str, Any], str], None]  # as an object, and as a line for people


def read_token(path: Path) -> str:
    """The token in a file. Raises SettingsError."""
    try:
        token = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise SettingsError(setting=f"--token-file {path}", reason=reason) from error
    if not token or not token.isascii() or not token.isprintable():
        raise SettingsError(setting=f"--token-file {path}", reason="it holds no token")
    return token


def send(
    client: Client, paths: list[Path], settings: Settings, *, priority: Priority, wait: bool, as_json: bool
) -> int:
    """Upload the files, and those in the folders; how many could not be sent or, with `wait`, be screened."""
    tell, failed, sent = _teller(as_json), 0, []
    for named, real, _ in named_files(paths, settings.ingest.left_alone_names):
        try:
            taken = client.upload(real, name=named.name, priority=priority)
        except (InputError, ServerRefused) as error:  # of this file; the next one may do
            tell({"file": str(named), "error": str(error)}, f"refused   {printable(error)}")
            failed += 1
            continue
        sent.append(taken)
        line = f"{taken.intake:9} {taken.video_id:>7} {printable(named)}"
        tell({"file": str(named), **asdict(taken)}, line)
    if wait:
        failed += sum(_failed(client.wait(taken.video_id), taken, tell) for taken in sent)
    return failed


def _failed(status: Status, taken: Uploaded, tell: Tell) -> bool:
    failed = status.status is ScreeningStatus.FAILED
    word = f"failed: {status.error_code}" if failed else status.verdict
    score = "" if status.score is None else f" {status.score:.2f}"
    tell(asdict(status), f"{word:9} {taken.video_id:>7} {printable(taken.name)}{score}")
    return failed


def _teller(as_json: bool) -> Tell:
    console = Console()

    def tell(told: dict[str, Any], line: str) -> None:
        if as_json:
            print(json.dumps(told), flush=True)  # noqa: T201  stdout is this command's output
        else:
            console.print(line, markup=False, highlight=False, soft_wrap=True)

    return tell
