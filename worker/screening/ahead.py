"""Work that is done one step ahead of who needs it, in a thread of its own."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

_Step = TypeVar("_Step")


@contextmanager
def ahead(steps: Iterator[_Step]) -> Iterator[Iterator[_Step]]:
    """The same steps, each of which is made while the caller works on the one before.

    What making one raises, the caller gets in its place. No step is being made any more once the `with` block
    has ended, however it ended: what the steps are made of may go then.

    >>> with ahead(iter([1, 2, 3])) as steps:
    ...     print(list(steps))
    [1, 2, 3]
    """
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as maker:
        yield _each(steps, maker)


def _each(steps: Iterator[_Step], maker: ThreadPoolExecutor) -> Iterator[_Step]:
    end = object()
    coming: Future[_Step | object] = maker.submit(next, steps, end)
    while (step := coming.result()) is not end:
        coming = maker.submit(next, steps, end)
        yield step  # type: ignore[misc]
