"""Results as JSON: what reports and the model card are made from."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.errors import SettingsError
from core.model_version import ModelVersion
from evaluation.backends import Agreement
from evaluation.calibration import overlap
from evaluation.scored_clips import Evaluation, Row

FORMAT = 1  # raised when a reader of older files would misread newer ones
DIGITS = 4


def as_results(
    evaluation: Evaluation, agreements: Sequence[Agreement], circumstances: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything about one evaluated checkpoint.

    Args:
        circumstances: how the numbers came about: command, machine, seconds, seed, data.

    In the tables a metric is [value, low, high]; null where it is undefined.
    """
    version = evaluation.version
    return {
        "format": FORMAT,
        "checkpoint": _checkpoint(version),
        "threshold": evaluation.threshold,
        "calibrated_apart": _calibrated_apart(evaluation),
        "circumstances": dict(circumstances),
        "tables": {name: [_row(row) for row in table.rows] for name, table in evaluation.tables.items()},
        "genuine_flagged": _genuine_flagged(evaluation),
        "genuine_videos": evaluation.genuine,
        "backends": [rounded(asdict(each) | {"agrees": each.agrees}) for each in agreements],
        "growth": rounded(evaluation.growth),
        "families": rounded(evaluation.families),
        "unscored": evaluation.unscored,
        "clips": [
            {
                "name": clip.name,
                "kind": clip.kind,
                "condition": clip.condition,
                "side": clip.side,
                "raw": None if clip.raw is None else round(clip.raw, DIGITS),
            }
            for clip in evaluation.clips
        ],
    }


def of_checkpoint(older: Mapping[str, Any], version: ModelVersion) -> dict[str, Any]:
    """The older results of a checkpoint whose looks, families or threshold for `fake` were fitted since.

    A short clip of one face scores and is flagged as before, so the tables stay; `measured_as` keeps the id
    of what was measured.

    Raises SettingsError where more has changed.
    """
    now = _checkpoint(version)
    if _of_one_look(older["checkpoint"]) != _of_one_look(now):
        reason = "they are of a checkpoint that scores otherwise; evaluate this one as a whole"
        raise SettingsError(setting="--results", reason=reason)
    measured = older.get("measured_as", older["checkpoint"]["id"])
    # What was measured on real manipulations has a file of its own.
    kept = {name: value for name, value in older.items() if name != "real"}
    return {**kept, "checkpoint": now, "measured_as": measured}


def _checkpoint(version: ModelVersion) -> dict[str, Any]:
    values = asdict(version) | {"id": version.id, "margin": version.crop.margin}
    del values["crop"]
    return values


def _of_one_look(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """What a single look's score depends on."""
    calibration = checkpoint["calibration"]
    kept = ("architecture", "label", "input_size", "margin", "suspect_threshold")
    return {
        **{name: checkpoint[name] for name in kept},
        "calibration": (calibration["slope"], calibration["intercept"]),
    }


def _row(row: Row) -> dict[str, Any]:
    values = {key: getattr(row, key) for key in ("name", "genuine", "fake", "groups")}
    values |= {"genuine_flagged": row.genuine_flagged, "fake_flagged": row.fake_flagged}
    metrics = {
        name: [rounded(each.value), rounded(each.low), rounded(each.high)]
        for name, each in row.metrics.items()
    }
    return values | {"metrics": metrics}


def _calibrated_apart(evaluation: Evaluation) -> bool | None:
    """Whether the tables show nobody who calibrated the checkpoint; None where that is not on record."""
    groups = evaluation.version.training.get("calibration", {}).get("groups")
    if groups is None:
        return None
    return not overlap(groups, [clip.group for clip in evaluation.clips if clip.main or clip.robust])


def _genuine_flagged(evaluation: Evaluation) -> dict[str, dict[str, list[int]]]:
    """Whole genuine videos: per condition and side, how many are flagged of how many."""
    counts: dict[str, dict[str, list[int]]] = {}
    for video in evaluation.genuine:
        for side in (video["side"], "all"):
            count = counts.setdefault(video["condition"], {}).setdefault(side, [0, 0])
            count[0] += int(video["flagged"])
            count[1] += 1
    return counts


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    if isinstance(value, float):
        return round(value, DIGITS) if math.isfinite(value) else None
    return value


def write_results(path: Path, results: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
    """Write them as JSON, lists and objects without others inside on one line each."""
    text = json.dumps(results, indent=1)
    short = re.sub(r"[\[{]\s+[^\[\]{}]*?\s+[\]}]", lambda found: re.sub(r"\n\s+", " ", found[0]), text)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(short + "\n", encoding="utf-8")


def read_results(path: Path) -> dict[str, Any]:
    """The results of one checkpoint; under `real` those on real manipulations, where `*.real.json` has them.

    Raises SettingsError where a file is missing or something else, or the two are of different checkpoints.
    """
    results = _read(path)
    beside = path.with_suffix(".real.json")
    if not beside.is_file():
        return results
    real = _read(beside)
    if real["checkpoint"]["id"] != results["checkpoint"]["id"]:
        reason = f"they are of {real['checkpoint']['id']}, not of {results['checkpoint']['id']}"
        raise SettingsError(setting=str(beside), reason=reason)
    return {**results, "real": real}


def _read(path: Path) -> dict[str, Any]:
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(setting=str(path), reason=f"no results can be read from it ({error})") from error
    if not isinstance(results, dict) or results.get("format") != FORMAT:
        reason = "not the results of one checkpoint; make them with `facewarden evaluate --results`"
        raise SettingsError(setting=str(path), reason=reason)
    return results
