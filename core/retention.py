"""What decides how long a video is kept."""

from enum import StrEnum


class Keeping(StrEnum):
    """The last word on a video: a reviewer's, or else the machine's."""

    FAKE = "fake"  # decided
    GENUINE = "genuine"  # decided
    UNSURE = "unsure"  # decided
    FLAGGED = "flagged"  # fake, suspect or unjudged, and nobody has decided
    CLEAR = "clear"  # all other verdicts
    FAILED = "failed"  # could not be screened
