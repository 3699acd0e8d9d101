"""Progress of screening clips, on a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


@contextmanager
def clip_progress() -> Iterator[Callable[[int, str], None]]:
    """A line on stderr, erased at the end. Call the result with the clips done and the last one's name."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("making clips", total=None)
        yield lambda done, name: shown.update(task, description=f"{done} clips screened, last: {name}")
