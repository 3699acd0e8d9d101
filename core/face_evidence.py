"""Which parts of a face speak for fake, in words: what a LIME explanation in parts of the face comes to.

Words look surer than a map, so they are only given where the map holds.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

# Below these the words would say more than is known; docs/review.md gives the same numbers.
LEAST_R2 = 0.4  # of the linear model: below it, the parts do not explain the score
LEAST_STABILITY = 0.6  # agreement of other seeds on the strongest parts, [0, 1]
ENOUGH = 0.5  # share of the evidence that the named parts have together, if as many as MOST_NAMED do
MOST_NAMED = 3

# What people call the segments of models.explain.face_parts; sides and pieces are taken together.
NAMES = {
    "left eye": "eyes",
    "right eye": "eyes",
    "left brow": "brows",
    "right brow": "brows",
    "left cheek": "cheeks",
    "right cheek": "cheeks",
    "left jaw": "jaw line",
    "right jaw": "jaw line",
    "chin": "jaw line",
}


@dataclass(frozen=True, kw_only=True)
class FaceEvidence:
    """How what speaks for fake is divided among the parts of the face."""

    shares: Mapping[str, float]  # of each part that speaks for fake, the largest first; they add up to 1
    frames: int  # explained frames that it is summed over
    left_out: int  # explained frames whose map does not hold
    sentence: str  # what that is in words, or why it is not put into words
    in_words: bool  # whether it is


def of_frame(
    parts: Sequence[str], weights: Sequence[float], r2: float | None, stability: float | None
) -> FaceEvidence:
    """The evidence in one frame.

    Args:
        parts, weights: of each segment, the weights towards fake; no parts where segments are none.
        r2, stability: of the explanation.
    """
    return _evidence([(parts, weights, _doubt(parts, r2, stability))])


def of_track(
    frames: Iterable[tuple[Sequence[str], Sequence[float], float | None, float | None]],
) -> FaceEvidence | None:
    """The evidence in several frames of one face, each given as `of_frame` takes it; None without any."""
    judged = [(parts, weights, _doubt(parts, r2, stability)) for parts, weights, r2, stability in frames]
    return _evidence(judged) if judged else None


def _doubt(parts: Sequence[str], r2: float | None, stability: float | None) -> str:
    """Why the map does not hold; empty where it does."""
    if not parts:
        return "its segments are no parts of the face"
    if stability is None:
        return "no part of the face moves the score"
    if stability < LEAST_STABILITY:
        return f"other seeds would name other parts (only {stability:.0%} agree)"
    if r2 is None or r2 < LEAST_R2:
        said = "" if r2 is None else f" (R² {r2:.2f})"
        return f"the parts do not add up to the score{said}"
    return ""


def _evidence(frames: Sequence[tuple[Sequence[str], Sequence[float], str]]) -> FaceEvidence:
    held = [(parts, weights) for parts, weights, doubt in frames if not doubt]
    sums: dict[str, float] = {}
    for parts, weights in held:
        for part, weight in zip(parts, weights, strict=True):
            name = NAMES.get(part, part)
            sums[name] = sums.get(name, 0.0) + max(weight, 0.0)
    total = sum(sums.values())
    ordered = sorted(sums.items(), key=lambda one: (-one[1], one[0]))
    shares = {name: weight / total for name, weight in ordered if weight > 0}
    left_out = len(frames) - len(held)
    if not held:
        doubts = sorted({doubt for _, _, doubt in frames})
        sentence = f"Not put into words: {'; '.join(doubts)}."
    elif not shares:
        sentence = "No part of the face speaks for fake by itself."
    else:
        sentence = _sentence(shares)
    return FaceEvidence(
        shares=shares, frames=len(held), left_out=left_out, sentence=sentence, in_words=bool(shares)
    )


def _sentence(shares: Mapping[str, float]) -> str:
    named: list[str] = []
    covered = 0.0
    for part, share in shares.items():
        named.append(part)
        covered += share
        if covered >= ENOUGH or len(named) == MOST_NAMED:
            break
    listed = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
    plural = len(named) > 1 or named[0].endswith("s")
    verb = "speak" if plural else "speaks"
    return f"{listed[:1].upper()}{listed[1:]} {verb} for fake ({covered:.2f} of the evidence)."
