"""Files that are there whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name to write to, which becomes `path` at the end; after an error `path` is what it was before."""
    partial = path.with_name(path.name + ".partial")
    yield partial
    partial.replace(path)
