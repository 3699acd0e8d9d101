"""The words for what became of a video.

They are stored as their string values; renaming a member's value needs a migration.
"""

from enum import StrEnum


class MediaKind(StrEnum):
    VIDEO = "video"
    IMAGE = "image"  # a still is screened as a video of one frame
    UNKNOWN = "unknown"  # sniffed as neither; its screening fails with `not_media`


class ScreeningStatus(StrEnum):
    QUEUED = "queued"  # waits for a worker; SQL says so even when Redis has forgotten
    SCREENING = "screening"  # a worker holds its lease
    DONE = "done"  # has a verdict
    FAILED = "failed"  # has an error code and a message instead of a verdict


UNFINISHED = (ScreeningStatus.QUEUED, ScreeningStatus.SCREENING)


class Verdict(StrEnum):
    """What the machine says. A reviewer's answer is called a decision."""

    FAKE = "fake"  # video score at or above the fake threshold
    SUSPECT = "suspect"  # at or above the suspect threshold, below the fake one
    CLEAR = "clear"  # below both
    UNJUDGED = "unjudged"  # faces, but too few fit for judging: turned, tilted, small, blurred, unsure
    NO_FACE = "no_face"  # no face at all
    TOO_SHORT = "too_short"  # faces fit for judging, but none in enough frames to support a score

    @property
    def flagged(self) -> bool:
        """Whether its score points to a fake."""
        return self in (Verdict.FAKE, Verdict.SUSPECT)

    @property
    def needs_look(self) -> bool:
        """Whether a reviewer must look at it: it is flagged, or the machine could not judge what it saw."""
        return self.flagged or self is Verdict.UNJUDGED


FLAGGED = tuple(verdict for verdict in Verdict if verdict.flagged)
NEEDS_LOOK = tuple(verdict for verdict in Verdict if verdict.needs_look)


class ExplanationMethod(StrEnum):
    LIME = "lime"
    GRAD_CAM = "grad_cam"


class ExplainStatus(StrEnum):
    """Progress of the explanations of one flagged frame."""

    QUEUED = "queued"
    DONE = "done"
    FAILED = "failed"


class Replaced(StrEnum):
    """Why the answer of a screening gave way to another one of the same model version."""

    REAGGREGATED = "reaggregated"  # another policy or thresholds, from the stored logits
    SCREENED_AGAIN = "screened_again"


class DecisionOutcome(StrEnum):
    """What a reviewer says about a video."""

    FAKE = "fake"  # confirmed
    GENUINE = "genuine"
    UNSURE = "unsure"  # looked, cannot tell
    SECOND_OPINION = "second_opinion"  # another reviewer must look


class DecisionState(StrEnum):
    """Progress of the review of a video."""

    OPEN = "open"  # nobody has decided
    SECOND_OPINION = "second_opinion"  # waits for another reviewer
    DECIDED = "decided"
