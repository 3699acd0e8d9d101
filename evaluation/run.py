"""`facewarden evaluate`: screen clips whose truth is known with the worker's own pipeline, and report.

Several checkpoints see the same clips; faces are found once for all of them.
"""

import hashlib
import os
import platform
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import structlog
import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from core.command_line import command_line
from core.errors import InputError, SettingsError
from core.model_version import ModelVersion
from core.outcomes import Verdict
from core.settings import Settings
from evaluation.backends import Agreement, agreements
from evaluation.calibration import overlap
from evaluation.data_record import describe_data
from evaluation.held_out import Clip, HeldOut, Plan
from evaluation.held_out_crops import LabelledCrops, held_out_crops
from evaluation.labelled import labelled_clips
from evaluation.report.report import write_report
from evaluation.report.results import as_results, write_results
from evaluation.scored_clips import Evaluation, ScoredClip, ScoredCrops, Screening, evaluate
from models.classifier import Classifier
from models.datasets.faces import FaceRecord, video_faces
from models.detector import FaceDetector
from models.device import choose_device
from models.face import Face, Image
from worker.screening.pipeline import Pipeline, Screened

log = structlog.get_logger()
Item = TypeVar("Item")

AHEAD = 3  # clips made while the ones before are screened


@dataclass(frozen=True, kw_only=True)
class Wish:
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


class RememberingDetector(FaceDetector):
    """Finds the faces of the same frames once, however many checkpoints ask."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.detection, choose_device(settings.device))
        self._known: dict[tuple[bytes, ...], list[list[Face]]] = {}

    def detect(self, images: Sequence[Image]) -> list[list[Face]]:
        key = tuple(hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images)
        if key not in self._known:
            self._known[key] = super().detect(images)
        return self._known[key]

    def forget(self) -> None:
        self._known.clear()


def run_evaluation(settings: Settings, checkpoints: Sequence[Path], wish: Wish) -> list[Evaluation]:
    """Evaluate `checkpoints` and write the report; returns what was measured of each.

    Raises SettingsError where there is nothing to evaluate on, WeightsError where a checkpoint is no good.
    """
    began = time.monotonic()
    if wish.results is not None and len(checkpoints) != 1:
        raise SettingsError(setting="--results", reason="it takes the numbers of one checkpoint")
    detector = RememberingDetector(settings)
    pipelines = [pipeline_of(settings, path, detector) for path in checkpoints]
    crops = _crops_of(pipelines, wish)
    with tempfile.TemporaryDirectory() as folder:
        scored = screen_clips(pipelines, _clips(wish, Path(folder)), detector)
    made, documents = [], []
    for number, (path, pipeline) in enumerate(zip(checkpoints, pipelines, strict=True)):
        version = pipeline.classifier.version
        _warn_of_overlap(version, scored[number])
        labelled = crops.get((version.input_size, version.crop.margin))
        evaluation = evaluate(
            version,
            scored[number],
            None if labelled is None else scored_crops(pipeline.classifier, labelled),
            threshold=wish.threshold,
            resamples=wish.resamples,
            seed=wish.seed,
        )
        if "pooled" not in evaluation.tables:
            given = "--data" if wish.labelled is None else "--labelled"
            raise SettingsError(setting=given, reason=f"nothing got a score: {evaluation.unscored}")
        compared = _compare_backends(path, labelled, settings) if wish.backends else []
        made.append(evaluation)
        documents.append(as_results(evaluation, compared, _circumstances(wish, checkpoints, began)))
    _report(made, documents, wish)
    return made


def pipeline_of(settings: Settings, checkpoint: Path, detector: FaceDetector) -> Pipeline:
    """The worker's pipeline with the checkpoint's own crop settings and backend."""
    classifier = Classifier.load(checkpoint, backend=settings.backend, device=settings.device)
    return Pipeline(settings.model_copy(update={"weights": checkpoint}), detector, classifier)


def screen_clips(
    pipelines: Sequence[Pipeline], clips: Iterable[Clip], detector: RememberingDetector
) -> list[list[ScoredClip]]:
    """What each pipeline says of each clip. Clips below the temporary folder are deleted when done."""
    scored: list[list[ScoredClip]] = [[] for _ in pipelines]
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("making clips", total=None)
        for clip in _ahead(iter(clips)):
            for pipeline, seen in zip(pipelines, scored, strict=True):
                seen.append(ScoredClip.of(clip, screen(pipeline, clip)))
            detector.forget()
            if clip.temporary:
                clip.path.unlink()
            done = len(scored[0]) if scored else 0
            progress.update(task, description=f"{done} clips screened, last: {clip.name}")
    return scored


def screen(pipeline: Pipeline, clip: Clip) -> Screening:
    """What the pipeline says of one clip."""
    try:
        screened = pipeline.screen(clip.path, name=clip.name)
    except InputError as error:
        log.warning("not screened", clip=clip.name, reason=str(error))
        return Screening(raw=None, problem=error.code)
    frames: dict[int, float] = {}
    for face in screened.faces:
        if face.logit is not None:
            frames[face.frame] = max(face.logit, frames.get(face.frame, face.logit))
    raw = screened.video.raw
    unseen = (Verdict.NO_FACE, Verdict.UNJUDGED)
    if raw is None and clip.cropped and screened.video.verdict in unseen:
        raw = _whole_picture(pipeline.classifier, clip.path)
        return Screening(raw=raw, frames=(raw,))
    problem = "" if raw is not None else screened.video.verdict.value
    return Screening(raw=raw, frames=tuple(frames.values()), problem=problem, faces=_faces(screened))


def _faces(screened: Screened) -> tuple[tuple[float, ...], ...]:
    logits: dict[int, list[float]] = {track.number: [] for track in screened.tracks if track.score.supported}
    for face in screened.faces:
        if face.logit is not None and face.track in logits:
            logits[face.track].append(face.logit)
    return tuple(map(tuple, logits.values()))


def _whole_picture(classifier: Classifier, path: Path) -> float:
    """The logit of a picture that is itself a face crop: in a tight one no detector finds a face."""
    size = classifier.version.input_size
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise SettingsError(setting=str(path), reason="this picture is damaged")
    method = cv2.INTER_AREA if min(picture.shape[:2]) > size else cv2.INTER_LINEAR
    crop = cv2.resize(picture, (size, size), interpolation=method)[None, ..., ::-1]
    return float(classifier.logits(np.ascontiguousarray(crop, np.uint8))[0])


def _clips(wish: Wish, folder: Path) -> Iterator[Clip]:
    if wish.labelled is not None:
        yield from labelled_clips(
            wish.labelled, folder, plan=wish.plan, split=wish.split, limit=wish.limit, seed=wish.seed
        )
        return
    held_out = _held_out(wish)
    yield from held_out.clips("evaluation", folder)
    yield from held_out.genuine_videos(folder)


def _held_out(wish: Wish) -> HeldOut:
    if wish.data is None:
        raise SettingsError(setting="--data", reason="name it, or a folder with --labelled")
    return HeldOut(wish.data, wish.plan)


def _crops_of(pipelines: Sequence[Pipeline], wish: Wish) -> dict[tuple[int, float], LabelledCrops]:
    """Face crops in each size and margin that the checkpoints take."""
    if wish.labelled is not None or wish.pairs < 1:
        return {}
    records = evaluation_records(_held_out(wish))
    if not records:
        return {}
    shapes = {(p.classifier.version.input_size, p.classifier.version.crop.margin) for p in pipelines}
    return {
        (size, margin): held_out_crops(
            records, wish.plan.kinds, size=size, margin=margin, pairs=wish.pairs, seed=wish.seed
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
        log.warning("the checkpoint was calibrated on some of these", version=version.id, groups=shared)


def _circumstances(wish: Wish, checkpoints: Sequence[Path], began: float) -> dict[str, Any]:
    """How the numbers came about."""
    return {
        "command": command_line(),
        "seconds": round(time.monotonic() - began),
        "machine": machine(),
        "seed": wish.seed,
        "resamples": wish.resamples,
        "data": None if wish.data is None or wish.labelled is not None else describe_data(wish.data),
        "labelled": None if wish.labelled is None else wish.labelled.name,
        "checkpoints": len(checkpoints),
    }


def machine() -> str:
    """What the numbers were made on, in words."""
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{os.cpu_count()} CPU cores, {platform.machine()} {capability}"


def _report(made: Sequence[Evaluation], documents: Sequence[dict[str, Any]], wish: Wish) -> None:
    if wish.compare or len(made) == 1:
        groups = [(wish.out, made, documents)]
    else:
        groups = [
            (wish.out / each.version.id, [each], [document])
            for each, document in zip(made, documents, strict=True)
        ]
    for folder, evaluations, parts in groups:
        write_report(folder, evaluations, parts)
        typer.echo(f"report: {folder / 'report.html'}")
    if wish.results is not None:
        write_results(wish.results, documents[0])
        typer.echo(f"results: {wish.results}")


def _ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The items, made in another thread a few ahead of their use."""
    with ThreadPoolExecutor(1) as pool:
        coming = [pool.submit(next, items, None) for _ in range(AHEAD)]
        while (item := coming.pop(0).result()) is not None:
            coming.append(pool.submit(next, items, None))
            yield item
