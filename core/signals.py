"""What other systems are told by webhooks, and how far a telling has come.

Both are stored as their string values; renaming a member's value needs a migration.
"""

from enum import StrEnum


class Signal(StrEnum):
    """The type of an event, as receivers see it."""

    SCREENED = "video.screened"  # a screening ended with a verdict
    FLAGGED = "video.flagged"  # ... and the verdict is fake or suspect; follows `video.screened`
    FAILED = "video.failed"  # a screening ended without a verdict
    DECIDED = "decision.made"  # a reviewer decided
    ALERT = "stream.alert"  # a face of a live stream has looked fake for a while


class DeliveryStatus(StrEnum):
    WAITING = "waiting"  # to be sent, for the first time or again
    DELIVERED = "delivered"  # the receiver said so
    DEAD = "dead"  # given up; an admin can replay it
