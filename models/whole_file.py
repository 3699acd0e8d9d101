"""Files that are written completely or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name to write to, renamed to `path` at the end; after an error `path` is unchanged."""
    partial = path.with_name(path.name + ".partial")
    yield partial
    partial.replace(path)
