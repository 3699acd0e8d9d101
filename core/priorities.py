"""How urgent a screening is: each priority has a queue of its own.

They are stored as their string values; renaming a member's value needs a migration.
"""

from collections.abc import Mapping
from enum import StrEnum


class Priority(StrEnum):
    """From the most to the least urgent."""

    INTERACTIVE = "interactive"  # somebody waits for it: an upload in the browser
    NORMAL = "normal"  # as it arrives: the bucket, other services
    BACKFILL = "backfill"  # whatever was there before, in bulk

    def before(self, other: "Priority") -> bool:
        """Whether this one is more urgent."""
        order = list(Priority)
        return order.index(self) < order.index(other)


def turns(shares: Mapping[Priority, int]) -> list[Priority]:
    """The priorities in turn, each as often as its share, and as evenly spread as can be."""
    total, credit = sum(shares.values()), dict.fromkeys(shares, 0)
    made = []
    for _ in range(total):
        for priority, share in shares.items():
            credit[priority] += share
        first = max(credit, key=lambda each: credit[each])  # of equals the most urgent
        credit[first] -= total
        made.append(first)
    return made


def order(first: Priority) -> list[Priority]:
    """In which order a worker looks where it is this one's turn."""
    return [first, *(each for each in Priority if each is not first)]
