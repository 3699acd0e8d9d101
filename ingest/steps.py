"""What taking in a whole place tells while it goes on."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from core.priorities import Priority
from ingest.registration import Receipt
from storage.videos import Sighted


class Gate(Protocol):
    """May wait before more is taken in."""

    def __call__(self) -> None: ...


def open_gate() -> None:
    """Never waits."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """Some files that have been dealt with."""

    files: int  # those that were left alone among them
    receipt: Receipt | None = None  # of the one that was taken in
    known: list[Sighted] = field(default_factory=list)  # as they were taken in before
    source: str | None = None  # where it is not the place's


class Place(Protocol):
    """Somewhere that is taken in as a whole."""

    name: str  # as people write it
    source: str  # under which its sightings are stored

    def done_before(self) -> int:
        """Files that need not be looked at again, because an interrupted run has dealt with them."""

    def steps(self, *, priority: Priority, before: Gate = open_gate) -> Iterator[Step]:
        """Take in what is new; `before` is called before each file is read.

        Raises RetryableError if a service is down: called again, it goes on.
        """

    def count(self) -> int:
        """How many files there are to come, as far as that is known without looking into them."""
