"""Whether fakes are said to resemble their own family: fitted on one side, measured on the other."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from core.families import Family, FamilyCalibration
from core.model_version import ModelVersion
from evaluation.metrics import Numbers, Scored, even_weights, expected_calibration_error

RIGHT = 0.95  # wanted part of the named fakes whose family is right: tools that nobody knows do worse
LOWEST = 0.5  # no family is named that is less likely than all others together
STEP = 0.01  # by which the least probability rises
TEMPERATURES = (0.05, 20.0)  # searched


@dataclass(frozen=True, kw_only=True)
class KnownFake:
    """A fake whose family is known, and what the head says of it."""

    group: str  # the person or video
    family: Family
    method: str  # the tool that made it
    logits: Sequence[float]  # of the model version's families
    flagged: bool  # its score reaches the threshold


def fit_families(fakes: Sequence[KnownFake], families: Sequence[Family]) -> FamilyCalibration | None:
    """The temperature, and the least probability from which RIGHT of the named fakes are named rightly.

    Each person or video weighs the same. None where the fakes are of fewer than two of the `families`, the
    names of the logits.
    """
    known = [fake for fake in fakes if fake.family in families]
    if len({fake.family for fake in known}) < 2:
        return None
    logits = np.array([fake.logits for fake in known], np.float64)
    truth = np.array([families.index(fake.family) for fake in known])
    weights = even_weights([fake.group for fake in known])

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        of_truth = scaled[np.arange(len(truth)), truth]
        return float(weights @ (np.logaddexp.reduce(scaled, axis=1) - of_truth))

    low, high = np.log(TEMPERATURES)
    temperature = float(np.exp(minimize_scalar(loss, bounds=(low, high), method="bounded").x))
    groups = len({fake.group for fake in known})
    kinds = ", ".join(f"{sum(fake.family == each for fake in known)} {each}" for each in families)
    calibration = FamilyCalibration(
        temperature=temperature,
        least=LOWEST,
        fitted_on=f"{len(known)} fakes of {groups} held-out persons and videos: {kinds}",
    )
    said = np.array([calibration.probabilities(row) for row in logits])
    right = weights * (said.argmax(axis=1) == truth)
    for least in np.arange(LOWEST, 1.0, STEP):  # in vain: only what is nearly certain is named
        named = said.max(axis=1) >= least
        if right[named].sum() >= RIGHT * weights[named].sum():
            break
    return replace(calibration, least=round(float(least), 6))


def table(fakes: Sequence[KnownFake], version: ModelVersion) -> dict[str, Any]:
    """What is said of the fakes: all of them, and those that the worker would name because they are flagged.

    Empty where the checkpoint names no family.
    """
    calibration = version.calibration.families
    fakes = [fake for fake in fakes if fake.family in version.families]
    if calibration is None or not fakes:
        return {}
    parts = {"all": fakes, "flagged": [fake for fake in fakes if fake.flagged]}
    return {
        "families": [family.value for family in version.families],
        "least": calibration.least,
        **{name: _part(part, version.families, calibration) for name, part in parts.items()},
    }


def _part(
    fakes: Sequence[KnownFake], families: Sequence[Family], calibration: FamilyCalibration
) -> dict[str, Any]:
    """Counts; in `confusion` by true family, a column for each of `families`, and one for "not named"."""
    said = np.array([calibration.probabilities(fake.logits) for fake in fakes]).reshape(-1, len(families))
    truth = np.array([families.index(fake.family) for fake in fakes], int)
    sure, likeliest = said.max(axis=1), said.argmax(axis=1)
    named, right = sure >= calibration.least, likeliest == truth
    columns = np.where(named, likeliest, len(families))
    confusion = {
        family.value: np.bincount(columns[truth == row], minlength=len(families) + 1).tolist()
        for row, family in enumerate(families)
        if (truth == row).any()
    }
    methods: dict[str, list[int]] = {}
    for fake, is_named, is_right in zip(fakes, named, named & right, strict=True):
        counts = methods.setdefault(fake.method, [0, 0, 0])
        methods[fake.method] = [counts[0] + 1, counts[1] + int(is_named), counts[2] + int(is_right)]
    return {
        "fakes": len(fakes),
        "named": int(named.sum()),
        "right": int((named & right).sum()),
        "likeliest_right": int(right.sum()),
        "confusion": confusion,
        "methods": methods,  # of each: fakes, named, named rightly
        "ece": _calibration_error(sure, right),
        "ece_named": _calibration_error(sure[named], right[named]),
    }


def _calibration_error(said: Numbers, right: NDArray[np.bool_]) -> float | None:
    """Of the probability of the family that is named, not of "fake"; None for no fakes."""
    if not len(said):
        return None
    return expected_calibration_error(Scored(fake=right, probability=said, group=np.arange(len(said))))
