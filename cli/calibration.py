"""`facewarden calibrate`: make a checkpoint's video scores probabilities and set its thresholds.

Clips of the calibration side (models.training.held_out), genuine and forged, are screened by the worker's
own pipeline. No evaluation uses a person or video of theirs.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from cli.evaluation import RememberingDetector, command_line, pipeline_of, screen_clips
from core.errors import SettingsError
from core.settings import Settings
from models.checkpoint import load_checkpoint, save_checkpoint
from models.model_version import Calibration, ModelVersion
from models.training.calibration import Method, Thresholds, fit, thresholds
from models.training.evaluation import ScoredClip, evaluate
from models.training.held_out import HeldOut, Plan

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Wish:
    """How to calibrate."""

    data: Path  # folder of genuine faces and videos (models.training.faces)
    plan: Plan
    method: Method
    rate: float  # wanted part of genuine videos that are flagged, (0, 1)
    label: str | None  # a new label; None keeps the checkpoint's


def calibrate(settings: Settings, weights: Path, out: Path, wish: Wish) -> ModelVersion:
    """Calibrate `weights` and write them to `out`; returns the version.

    Raises SettingsError where the data give no genuine or no forged clips with a score.
    """
    detector = RememberingDetector(settings)
    pipeline = pipeline_of(settings, weights, detector)
    with tempfile.TemporaryDirectory() as folder:
        clips = HeldOut(wish.data, wish.plan).clips("calibration", Path(folder))
        (scored,) = screen_clips([pipeline], clips, detector)
    calibration, limits = fitted(scored, wish)
    # What was screened is what is calibrated, even if the file was replaced in between.
    screened = pipeline.classifier.version.weights_sha256
    network, version = load_checkpoint(weights, expected_sha256=screened)
    calibrated = replace(
        version,
        label=wish.label or version.label,
        calibration=calibration,
        suspect_threshold=limits.suspect,
        fake_threshold=limits.fake,
    )
    record = _record(calibrated, scored, wish)
    training = {key: value for key, value in version.training.items() if key != "video_level"}
    made = save_checkpoint(out, network, replace(calibrated, training=training | {"calibration": record}))
    log.info("calibrated", version=made.id, suspect=limits.suspect, fake=limits.fake)
    return made


def fitted(scored: Sequence[ScoredClip], wish: Wish) -> tuple[Calibration, Thresholds]:
    """The calibration from the main clips, the thresholds from every genuine one."""
    known = [clip for clip in scored if clip.raw is not None]
    main = [clip for clip in known if clip.main]
    genuine = [clip for clip in known if not clip.fake]
    fakes = [clip for clip in main if clip.fake]
    if not fakes or not genuine:
        raise SettingsError(setting="--data", reason="it gave no genuine or no forged clips with a score")
    calibration = fit(
        _raw(main),
        np.array([clip.fake for clip in main], bool),
        _groups(main),
        method=wish.method,
        fitted_on=f"{len(main) - len(fakes)} genuine and {len(fakes)} pseudo-fake clips of "
        f"{len(set(_groups(main)))} held-out persons and videos, H.264 crf 23 and 32",
    )
    return calibration, thresholds(calibration, _raw(genuine), _groups(genuine), rate=wish.rate)


def _raw(clips: Sequence[ScoredClip]) -> Any:
    return np.array([clip.raw for clip in clips], np.float64)


def _groups(clips: Sequence[ScoredClip]) -> Any:
    return np.array([clip.group for clip in clips], np.str_)


def _record(version: ModelVersion, scored: Sequence[ScoredClip], wish: Wish) -> dict[str, Any]:
    """What the checkpoint will say of its calibration; `groups` lets an evaluation see an overlap."""
    evaluation = evaluate(version, scored, resamples=0)
    (row,) = (row for row in evaluation.tables["pooled"].rows if row.name == "videos")
    return {
        "command": command_line(),
        "false_positive_rate": wish.rate,
        "method": wish.method,
        "groups": sorted({clip.group for clip in scored}),
        "clips": len(scored),
        "auc": row.metrics["auc"].value,
        "genuine_flagged": f"{row.genuine_flagged} of {row.genuine}",
        "fakes_flagged": f"{row.fake_flagged} of {row.fake}",
    }
