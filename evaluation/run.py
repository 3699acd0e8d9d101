"""Screen clips with known labels through the worker's own pipeline, and report.

Several checkpoints see the same clips; faces are found once for all of them.
"""

import os
import platform
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import structlog
import torch

from core.errors import SettingsError
from core.model_version import ModelVersion
from core.settings import Settings
from evaluation.backends import Agreement, agreements
from evaluation.calibration import overlap
from evaluation.data_record import describe_data
from evaluation.held_out import Clip, HeldOut, Plan
from evaluation.held_out_crops import LabelledCrops, held_out_crops
from evaluation.labelled import labelled_clips
from evaluation.report.report import write_report
from evaluation.report.results import as_results, write_results
from evaluation.scored_clips import Evaluation, ScoredClip, ScoredCrops, evaluate
from evaluation.screening import Progress, RememberingDetector, pipeline_of, screen_clips, silent
from models.classifier import Classifier
from models.datasets.faces import FaceRecord, video_faces
from models.device import choose_device
from worker.screening.pipeline import Pipeline

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What to evaluate on, and how much of it."""

    data: Path | None  # folder of genuine faces and videos (models.datasets.faces)
    labelled: Path | None  # folder of genuine and fake media; takes the place of `data`
    out: Path  # folder of the report
    plan: Plan = field(default_factory=Plan)
    split: str = "test"  # of the labelled media, or "all"
    limit: int | None = None  # labelled media per class
    pairs: int = 32  # of face crops per kind of forgery
    backends: bool = False  # also compare the backends
    compare: bool = False  # one report for all checkpoints
    results: Path | None = None  # where the JSON of one checkpoint goes as well
    threshold: float | None = None  # instead of each checkpoint's own
    resamples: int = 1000
    seed: int = 0
    command: str = ""  # that started it, for the record; "" if no command did


@dataclass(frozen=True)
class Written:
    kind: str  # "report" or "results"
    path: Path


def run_evaluation(
    settings: Settings, checkpoints: Sequence[Path], config: EvaluationConfig, progress: Progress = silent
) -> tuple[list[Evaluation], list[Written]]:
    """Evaluate `checkpoints` and write the report; returns what was measured of each, and what was written.

    Raises SettingsError where there is nothing to evaluate on, WeightsError where a checkpoint is no good.
    """
    began = time.monotonic()
    if config.results is not None and len(checkpoints) != 1:
        raise SettingsError(setting="--results", reason="it takes the numbers of one checkpoint")
    detector = RememberingDetector(settings)
    pipelines = [pipeline_of(settings, path, detector) for path in checkpoints]
    crops = _crops_of(pipelines, config)
    with tempfile.TemporaryDirectory() as folder:
        scored = screen_clips(pipelines, _clips(config, Path(folder)), detector, progress)
    made, documents = [], []
    for number, (path, pipeline) in enumerate(zip(checkpoints, pipelines, strict=True)):
        version = pipeline.classifier.version
        _warn_of_overlap(version, scored[number])
        labelled = crops.get((version.input_size, version.crop.margin))
        evaluation = evaluate(
            version,
            scored[number],
            None if labelled is None else scored_crops(pipeline.classifier, labelled),
            threshold=config.threshold,
            resamples=config.resamples,
            seed=config.seed,
        )
        if "pooled" not in evaluation.tables:
            given = "--data" if config.labelled is None else "--labelled"
            raise SettingsError(setting=given, reason=f"nothing got a score: {evaluation.unscored}")
        compared = _compare_backends(path, labelled, settings) if config.backends else []
        made.append(evaluation)
        documents.append(as_results(evaluation, compared, _circumstances(config, checkpoints, began)))
    return made, _report(made, documents, config)


def _clips(config: EvaluationConfig, folder: Path) -> Iterator[Clip]:
    if config.labelled is not None:
        yield from labelled_clips(
            config.labelled,
            folder,
            plan=config.plan,
            split=config.split,
            limit=config.limit,
            seed=config.seed,
        )
        return
    held_out = HeldOut.in_folder(config.data, config.plan)
    yield from held_out.clips("evaluation", folder)
    yield from held_out.genuine_videos(folder)


def _crops_of(
    pipelines: Sequence[Pipeline], config: EvaluationConfig
) -> dict[tuple[int, float], LabelledCrops]:
    """Face crops in each size and margin that the checkpoints take."""
    if config.labelled is not None or config.pairs < 1:
        return {}
    records = evaluation_records(HeldOut.in_folder(config.data, config.plan))
    if not records:
        return {}
    shapes = {(p.classifier.version.input_size, p.classifier.version.crop.margin) for p in pipelines}
    return {
        (size, margin): held_out_crops(
            records, config.plan.kinds, size=size, margin=margin, pairs=config.pairs, seed=config.seed
        )
        for size, margin in shapes
    }


def evaluation_records(held_out: HeldOut) -> list[FaceRecord]:
    """The held-out faces, of photographs and videos, that calibrate nothing."""
    records = held_out.records("evaluation")
    for name, side in held_out.videos.items():
        if side == "evaluation":
            records += video_faces(held_out.data / "videos" / f"{name}.mp4")
    return records


def scored_crops(classifier: Classifier, crops: LabelledCrops) -> ScoredCrops:
    """The classifier's logits of the crops."""
    logits = classifier.logits(crops.images).astype(np.float64)
    return ScoredCrops(logits=logits, fake=crops.fake, group=crops.group, kind=crops.kind)


def _compare_backends(path: Path, crops: LabelledCrops | None, settings: Settings) -> list[Agreement]:
    if crops is None:
        raise SettingsError(setting="--backends", reason="it needs the face crops that --data gives")
    return agreements(path, crops, device=choose_device(settings.device))


def _warn_of_overlap(version: ModelVersion, clips: Sequence[ScoredClip]) -> None:
    calibrated_on = version.training.get("calibration", {}).get("groups", [])
    shared = overlap(calibrated_on, [clip.group for clip in clips if clip.main])
    if shared:
        log.warning(
            "the checkpoint was calibrated on some of these",
            version=version.id,
            groups=len(shared),
            examples=shared[:3],
        )


def _circumstances(config: EvaluationConfig, checkpoints: Sequence[Path], began: float) -> dict[str, Any]:
    """How the numbers were obtained."""
    return {
        "command": config.command,
        "seconds": round(time.monotonic() - began),
        "machine": machine(),
        "seed": config.seed,
        "resamples": config.resamples,
        "data": None if config.data is None or config.labelled is not None else describe_data(config.data),
        "labelled": None if config.labelled is None else config.labelled.name,
        "checkpoints": len(checkpoints),
    }


def machine() -> str:
    """The machine that produced the numbers, in words."""
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{os.cpu_count()} CPU cores, {platform.machine()} {capability}"


def _report(
    made: Sequence[Evaluation], documents: Sequence[dict[str, Any]], config: EvaluationConfig
) -> list[Written]:
    if config.compare or len(made) == 1:
        groups = [(config.out, made, documents)]
    else:
        groups = [
            (config.out / each.version.id, [each], [document])
            for each, document in zip(made, documents, strict=True)
        ]
    written = []
    for folder, evaluations, parts in groups:
        write_report(folder, evaluations, parts)
        written.append(Written("report", folder / "report.html"))
    if config.results is not None:
        write_results(config.results, documents[0])
        written.append(Written("results", config.results))
    return written
