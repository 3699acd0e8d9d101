"""Verdicts on the same videos, by two policies or two model versions."""

from dataclasses import dataclass

UNDECIDED = "none"  # in place of a decision


@dataclass(frozen=True, kw_only=True, order=True)
class Flip:
    """One verdict and the other, of videos of one source on which reviewers said the same last."""

    before: str  # core.outcomes.Verdict
    after: str
    source: str
    decision: str  # core.outcomes.DecisionOutcome, or UNDECIDED

    @property
    def flips(self) -> bool:
        return self.before != self.after
