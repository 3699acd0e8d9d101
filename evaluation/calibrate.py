"""Make a checkpoint's video scores probabilities and set its thresholds.

Clips of the calibration side (evaluation.held_out), genuine and forged, are screened by the worker's
own pipeline. No evaluation uses a person or video of theirs.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from core.errors import SettingsError
from core.model_version import Calibration, Looks, ModelVersion
from core.settings import Settings
from evaluation.calibration import (
    CROWD,
    Method,
    Seen,
    Thresholds,
    caution,
    fit,
    fit_looks,
    thresholds,
)
from evaluation.families import fit_families
from evaluation.growth import worst
from evaluation.held_out import Clip, HeldOut, Plan
from evaluation.labelled import labelled_clips
from evaluation.report.results import of_checkpoint, read_results, rounded, write_results
from evaluation.scored_clips import ScoredClip, evaluate, known_fakes
from evaluation.screening import Progress, RememberingDetector, pipeline_of, screen_clips, silent
from models.checkpoint import load_checkpoint, save_checkpoint

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class CalibrationConfig:
    """How to calibrate."""

    data: Path | None  # folder of genuine faces and videos (models.datasets.faces)
    labelled: Path | None = None  # genuine and fake media, whose validation side takes the place of `data`
    plan: Plan
    method: Method
    rate: float  # wanted part of genuine videos that are flagged, (0, 1)
    label: str | None  # a new label; None keeps the checkpoint's
    looks_only: bool = False  # keep the calibration and the thresholds
    results: Path | None = None  # of a checkpoint that scores a short clip of one face alike: renewed
    kept: float = 0.75  # part of the fakes flagged alone that must be flagged among many faces, too, [0, 1]
    command: str = ""  # that started it, for the record; "" if no command did


def calibrate(
    settings: Settings, weights: Path, out: Path, config: CalibrationConfig, progress: Progress = silent
) -> ModelVersion:
    """Calibrate `weights` and write them to `out`; returns the version.

    Raises SettingsError where the data give no genuine or no forged clips with a score, or where the results
    that are to be renewed are of another checkpoint.
    """
    older = None if config.results is None else read_results(config.results)
    detector = RememberingDetector(settings)
    pipeline = pipeline_of(settings, weights, detector)
    with tempfile.TemporaryDirectory() as folder:
        (scored,) = screen_clips([pipeline], _clips(config, Path(folder)), detector, progress)
    calibration, limits = fitted(scored, config, pipeline.classifier.version)
    if not config.looks_only:
        fakes = known_fakes(scored, calibration, limits.suspect)
        families = fit_families(fakes, pipeline.classifier.version.families)
        calibration = replace(calibration, families=families)
    # Calibrate the very weights that were screened, even if the file was replaced meanwhile.
    screened = pipeline.classifier.version.weights_sha256
    network, version = load_checkpoint(weights, expected_sha256=screened)
    calibrated = replace(
        version,
        label=config.label or version.label,
        calibration=calibration,
        suspect_threshold=limits.suspect,
        fake_threshold=limits.fake,
    )
    record = _record(calibrated, _rescored(scored, calibration), config)
    training = {key: value for key, value in version.training.items() if key != "video_level"}
    # Fitting the looks must not overwrite the record of how the calibration was fitted.
    part = "looks" if config.looks_only else "calibration"
    made = save_checkpoint(out, network, replace(calibrated, training=training | {part: record}))
    if older is not None and config.results is not None:
        write_results(config.results, of_checkpoint(older, made))
    log.info("calibrated", version=made.id, suspect=limits.suspect, fake=limits.fake)
    return made


def _clips(config: CalibrationConfig, folder: Path) -> Iterator[Clip]:
    if config.labelled is None:
        return HeldOut.in_folder(config.data, config.plan).clips("calibration", folder)
    plan = replace(config.plan, robustness=False)
    return labelled_clips(config.labelled, folder, plan=plan, split="validation", limit=None, seed=0)


def fitted(
    scored: Sequence[ScoredClip], config: CalibrationConfig, version: ModelVersion
) -> tuple[Calibration, Thresholds]:
    """The calibration from the main clips, the thresholds and looks from every genuine one.

    The fakes that are flagged alone say how much of the looks' correction they can bear; so all is
    fitted once with the full correction, and again with what is left of it.
    """
    known = [clip for clip in scored if clip.faces]
    genuine = [clip for clip in known if not clip.fake]
    fakes = [clip for clip in known if clip.main and clip.fake]
    if not fakes or not genuine:
        raise SettingsError(setting="--data", reason="it gave no genuine or no forged clips with a score")
    full = _full_looks(genuine, config)
    if config.looks_only:
        calibration = replace(version.calibration, looks=full)
        limits = Thresholds(suspect=version.suspect_threshold, fake=version.fake_threshold)
    else:
        calibration, limits = _fitted(known, full, config)
    logits = _raw([clip for clip in fakes if len(clip.faces) == 1], calibration)
    flagged = np.array([calibration.probability(logit) >= limits.suspect for logit in logits], bool)
    careful = full
    if flagged.any():
        careful = caution(full, logits[flagged], calibration.logit(limits.suspect), kept=config.kept)
    if config.looks_only:
        return replace(calibration, looks=careful), limits
    return _fitted(known, careful, config)


def _full_looks(genuine: Sequence[ScoredClip], config: CalibrationConfig) -> Looks:
    faces = [
        Seen(group=clip.group, video=clip.source == "video", logits=face)
        for clip in genuine
        for face in clip.faces
    ]
    people = len(set(_groups(genuine)))
    return fit_looks(
        faces,
        fitted_on=f"{len(faces)} faces in {len(genuine)} genuine clips of {people} held-out persons and "
        f"videos; of the fakes flagged alone {config.kept:.0%} stay flagged among {CROWD} faces",
    )


def _fitted(
    clips: Sequence[ScoredClip], looks: Looks, config: CalibrationConfig
) -> tuple[Calibration, Thresholds]:
    main = [clip for clip in clips if clip.main]
    genuine = [clip for clip in clips if not clip.fake]
    fake = np.array([clip.fake for clip in main], bool)
    by_looks = Calibration(looks=looks)
    calibration = fit(
        _raw(main, by_looks),
        fake,
        _groups(main),
        method=config.method,
        fitted_on=f"{(~fake).sum()} genuine and {fake.sum()} {_fakes(config)} of "
        f"{len(set(_groups(main)))} held-out persons and videos",
    )
    calibration = replace(calibration, looks=looks)
    return calibration, thresholds(
        calibration, _raw(genuine, calibration), _groups(genuine), rate=config.rate
    )


def _fakes(config: CalibrationConfig) -> str:
    return (
        "pseudo-fake clips, H.264 crf 23 and 32," if config.labelled is None else "really manipulated media"
    )


def _raw(clips: Sequence[ScoredClip], calibration: Calibration) -> Any:
    """What each clip scores as a single look, whatever looks the screening checkpoint assumed."""
    return np.array([worst(clip.faces, calibration)[1] for clip in clips], np.float64)


def _rescored(clips: Sequence[ScoredClip], calibration: Calibration) -> list[ScoredClip]:
    return [replace(clip, raw=worst(clip.faces, calibration)[1]) if clip.faces else clip for clip in clips]


def _groups(clips: Sequence[ScoredClip]) -> Any:
    return np.array([clip.group for clip in clips], np.str_)


def _record(version: ModelVersion, scored: Sequence[ScoredClip], config: CalibrationConfig) -> dict[str, Any]:
    """What the checkpoint will say of its calibration; `groups` lets an evaluation see an overlap."""
    evaluation = evaluate(version, scored, resamples=0)
    (row,) = (row for row in evaluation.tables["pooled"].rows if row.name == "videos")
    return {
        "command": config.command,
        "false_positive_rate": config.rate,
        "method": config.method,
        "groups": sorted({clip.group for clip in scored}),
        "clips": len(scored),
        "growth": rounded(evaluation.growth),
        "auc": row.metrics["auc"].value,
        "genuine_flagged": f"{row.genuine_flagged} of {row.genuine}",
        "fakes_flagged": f"{row.fake_flagged} of {row.fake}",
    }
