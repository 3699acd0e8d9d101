"""The command that runs, for the records of what it makes."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

DATA = "FACEWARDEN_DATA"


def command_line(words: Sequence[str] | None = None, *, launcher: str = "") -> str:
    """The command as others would type it: folders of this machine mean nothing elsewhere.

    The data folder is named by its variable; other absolute paths keep only their last part.

    Args:
        words: what follows the launcher; by default what this process was given.
        launcher: by default `facewarden`, or torchrun where it started this process.
    """
    given = sys.argv[1:] if words is None else words
    return " ".join([launcher or _launcher(), *map(_portable, given)])


def _launcher() -> str:
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return "facewarden" if processes == 1 else f"torchrun --nproc-per-node {processes} -m cli"


def _portable(word: str) -> str:
    option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    return option + equals + _path(value) if value else shlex.quote(word)


def _path(value: str) -> str:
    """`value`, quoted for a shell, where it may be a path."""
    named, path = os.environ.get(DATA, ""), Path(value)
    if named and value == named:
        return f'"${DATA}"'
    if not path.is_absolute():
        return shlex.quote(value)
    if Path(named).is_absolute() and path.is_relative_to(named):
        return f'"${DATA}"/{shlex.quote(str(path.relative_to(named)))}'
    return shlex.quote(path.name)
