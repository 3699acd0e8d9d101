"""The words that reviewers read: what a score, a fit and a stability mean, and what they do not."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

Tone = Literal["good", "fair", "poor"]

# Fits and stabilities at which the wording changes; docs/review.md gives the same numbers.
GOOD_R2, FAIR_R2 = 0.7, 0.4
GOOD_STABILITY, FAIR_STABILITY = 0.6, 0.35
NOTHING = "-"  # shown for a missing value

NAMES = {
    "fake": "Fake",
    "suspect": "Suspect",
    "clear": "Clear",
    "unjudged": "Not judged",
    "no_face": "No face",
    "too_short": "Too short",
    "queued": "Queued",
    "screening": "Screening",
    "done": "Screened",
    "failed": "Failed",
    "genuine": "Genuine",
    "unsure": "Unsure",
    "second_opinion": "Second opinion",
    "open": "Open",
    "decided": "Decided",
    "reaggregated": "then judged by other thresholds",
    "screened_again": "then screened again",
    "lime": "LIME",
    "grad_cam": "Grad-CAM",
}

# What a fake most resembles, by core.families.Family.
FAMILIES = {
    "swap": "face swap",
    "reenact": "reenacted or talking head",
    "lipsync": "lip-sync",
    "generate": "generated face",
    "photoshop": "retouched face",
}

# What a file states about itself, by core.provenance.Stated.
STATED = {
    "generated": "AI-made",
    "broken": "signed, broken",
    "signed": "signed",
    "nothing": "nothing",
}

# Why a face was not scored; not to be confused with a reviewer's "unsure".
REASONS = {
    "small": "too small",
    "blurred": "blurred",
    "turned": "turned away",
    "tilted": "tilted",
    "unsure": "perhaps not a face",
}
# What an account can do, in the order in which people need it.
ABILITIES = {
    "view": "look at everything",
    "decide": "decide",
    "upload": "upload files",
    "interactive": "have them screened first",
    "export": "export results",
    "rescreen": "have files screened again, or not at all",
    "admin": "manage accounts and tokens",
}


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What a number says about an explanation."""

    tone: Tone
    text: str


def named(word: str | None) -> str:
    """The name that people read for a stored word."""
    if word is None:
        return NOTHING
    return NAMES.get(word, word.replace("_", " ").capitalize())


def unfit(reason: str | None) -> str:
    """Why a face was not scored."""
    return NOTHING if reason is None else REASONS.get(reason, reason.replace("_", " "))


def most_like(family: str | None, probability: float | None) -> str:
    """What a face resembles most, and how probable that is: "face swap, 0.71"."""
    if family is None or probability is None:
        return NOTHING
    return f"{FAMILIES.get(family, named(family))}, {min(probability, 0.99):.2f}"


def abilities(permissions: Collection[str]) -> str:
    """What somebody with these permissions can do: "look at everything, decide, upload files"."""
    known = [text for permission, text in ABILITIES.items() if permission in permissions]
    return ", ".join(known + sorted(set(permissions) - set(ABILITIES)))


def failure(message: str | None, name: str) -> str:
    """A failure's message without the file name, which stands above it."""
    text = (message or "It could not be screened.").removeprefix(f"{name}: ")
    return text[:1].upper() + text[1:]


def reasons(rejected_faces: Mapping[str, int]) -> str:
    """Why faces were not scored, the most frequent reason first: "18 turned away, 2 blurred"."""
    ordered = sorted(rejected_faces.items(), key=lambda one: (-one[1], one[0]))
    return ", ".join(f"{number} {unfit(reason)}" for reason, number in ordered)


def fit(r2: float | None) -> Judgement:
    """What the R² of LIME's linear model, at most 1, means."""
    if r2 is None:
        return Judgement(tone="poor", text="No fit was measured for this map.")
    if r2 >= GOOD_R2:
        return Judgement(tone="good", text=f"The map explains the score well (R² {r2:.2f}).")
    if r2 >= FAIR_R2:
        return Judgement(tone="fair", text=f"The map explains part of the score (R² {r2:.2f}).")
    return Judgement(tone="poor", text=f"The map hardly explains the score (R² {r2:.2f}): read it with care.")


def stability(value: float | None) -> Judgement:
    """What the agreement of LIME's top segments across seeds, in [0, 1], means."""
    if value is None:
        return Judgement(tone="poor", text="Stability was not measured: don't rely on this map.")
    if value >= GOOD_STABILITY:
        return Judgement(tone="good", text=f"This map is stable: other seeds agree ({value:.0%}).")
    if value >= FAIR_STABILITY:
        return Judgement(tone="fair", text=f"Parts of this map change with the seed ({value:.0%} agree).")
    return Judgement(
        tone="poor", text=f"This map changes with the seed ({value:.0%} agree): don't rely on it."
    )


def percent(value: float | None, digits: int = 0) -> str:
    """A share as a percentage, never rounded to a false certainty."""
    if value is None:
        return NOTHING
    said, smallest = f"{value:.{digits}%}", 10.0 ** -(digits + 2)
    if value > 0 and said == f"{0:.{digits}%}":
        return f"<{smallest:.{digits}%}"
    if value < 1 and said == f"{1:.{digits}%}":
        return f">{1 - smallest:.{digits}%}"
    return said


def moment(value: datetime | None) -> str:
    """A time in UTC, to the minute."""
    return NOTHING if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def clock(seconds: float | None) -> str:
    """A time in a video: 1:02.7, or 1:01:02.7."""
    if seconds is None:
        return NOTHING
    tenths = max(0, round(seconds * 10))
    hours, tenths = divmod(tenths, 36_000)
    minutes, tenths = divmod(tenths, 600)
    rest = f"{tenths // 10:02}.{tenths % 10}"
    return f"{hours}:{minutes:02}:{rest}" if hours else f"{minutes}:{rest}"


def duration(seconds: float | None) -> str:
    """A duration in the largest unit that fits: 45 s, 12 min, 3 h, 2 days."""
    if seconds is None:
        return NOTHING
    for unit, length in (("days", 172_800), ("h", 7200), ("min", 120)):
        if seconds >= length:
            return f"{seconds / {'days': 86_400, 'h': 3600, 'min': 60}[unit]:.0f} {unit}"
    return f"{seconds:.0f} s"


def since(value: datetime | None, now: datetime | None = None) -> str:
    """How long ago a moment was."""
    if value is None:
        return NOTHING
    seconds = ((now or datetime.now(UTC)) - value).total_seconds()
    return "just now" if seconds < 5 else f"{duration(seconds)} ago"


def size(count: int | None) -> str:
    """A size in decimal units: 1.2 MB."""
    if count is None:
        return NOTHING
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.5 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
