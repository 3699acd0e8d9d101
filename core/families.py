"""Families of manipulation: what a forged face most resembles, as a guess with a probability."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Family(StrEnum):
    """What the tools of one family have in common. Stored; data sets and checkpoints use these words."""

    SWAP = "swap"  # another person's face on the body
    REENACT = "reenact"  # a face that moves as somebody else did, or a talking head made of a picture
    LIPSYNC = "lipsync"  # only the mouth follows another sound
    GENERATE = "generate"  # nobody's face, made from nothing
    PHOTOSHOP = "photoshop"  # retouched by hand


@dataclass(frozen=True, kw_only=True)
class Resemblance:
    """The family that a face resembles most."""

    family: Family
    probability: float  # [0, 1], if the face is a fake of one of the families that the model was taught


@dataclass(frozen=True, kw_only=True)
class FamilyCalibration:
    """Makes the family head's logits probabilities: softmax(logits / temperature) (Guo et al., 2017)."""

    temperature: float  # above 0
    least: float  # probability from which a family is named, [0, 1]
    fitted_on: str = ""  # what it was fitted on, in words

    def probabilities(self, logits: Sequence[float]) -> list[float]:
        """Of each family, in the order of the logits; their sum is 1."""
        highest = max(logits)  # becomes 1: no overflow
        grown = [math.exp((logit - highest) / self.temperature) for logit in logits]
        return [value / sum(grown) for value in grown]

    def resemblance(self, families: Sequence[Family], logits: Sequence[float]) -> Resemblance | None:
        """The likeliest of `families`, the names of the logits; None where it is too unlikely to be named."""
        probability, family = max(zip(self.probabilities(logits), families, strict=True))
        return Resemblance(family=family, probability=probability) if probability >= self.least else None
