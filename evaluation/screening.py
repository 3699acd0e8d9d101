"""Clips through the worker's own pipeline, for one checkpoint or several: what is measured is what runs."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import structlog

from core.errors import InputError, SettingsError
from core.outcomes import Verdict
from core.settings import Settings
from evaluation.held_out import Clip
from evaluation.scored_clips import ScoredClip, Screening
from models.classifier import Classifier
from models.detector import FaceDetector
from models.device import choose_device
from models.face import Face, Image
from worker.screening.loading import load_pipeline
from worker.screening.pipeline import Pipeline
from worker.screening.screened import Screened

log = structlog.get_logger()
Item = TypeVar("Item")
Progress = Callable[[int, str], None]  # told how many clips are screened, and the name of the last

AHEAD = 3  # clips made while the ones before are screened


def silent(_done: int, _name: str) -> None:
    """A progress that nobody looks at."""


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
        super().forget()
        self._known.clear()


def pipeline_of(settings: Settings, checkpoint: Path, detector: FaceDetector) -> Pipeline:
    """The worker's pipeline with the checkpoint's own crop settings and backend."""
    return load_pipeline(settings.model_copy(update={"weights": checkpoint}), detector=detector)


def screen_clips(
    pipelines: Sequence[Pipeline], clips: Iterable[Clip], detector: RememberingDetector, progress: Progress
) -> list[list[ScoredClip]]:
    """What each pipeline says of each clip. Clips below the temporary folder are deleted when done."""
    scored: list[list[ScoredClip]] = [[] for _ in pipelines]
    for done, clip in enumerate(_ahead(iter(clips)), 1):
        for pipeline, seen in zip(pipelines, scored, strict=True):
            seen.append(ScoredClip.of(clip, screen(pipeline, clip)))
        detector.forget()
        if clip.temporary:
            clip.path.unlink()
        progress(done, clip.name)
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
            frames[face.frame_index] = max(face.logit, frames.get(face.frame_index, face.logit))
    raw = screened.video.raw
    unseen = (Verdict.NO_FACE, Verdict.UNJUDGED)
    if raw is None and clip.cropped and screened.video.verdict in unseen:
        raw, *families = _whole_picture(pipeline.classifier, clip.path)
        return Screening(raw=raw, frames=(raw,), families=tuple(families))
    problem = "" if raw is not None else screened.video.verdict.value
    track = screened.video.track
    return Screening(
        raw=raw,
        frames=tuple(frames.values()),
        problem=problem,
        faces=_faces(screened),
        families=() if track is None else screened.video.tracks[track].families,
    )


def _faces(screened: Screened) -> tuple[tuple[float, ...], ...]:
    logits: dict[int, list[float]] = {track.number: [] for track in screened.tracks if track.supported}
    for face in screened.faces:
        if face.logit is not None and face.track_number in logits:
            logits[face.track_number].append(face.logit)
    return tuple(map(tuple, logits.values()))


def _whole_picture(classifier: Classifier, path: Path) -> list[float]:
    """The answers to a picture that is itself a face crop: in a tight one no detector finds a face."""
    size = classifier.version.input_size
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise SettingsError(setting=str(path), reason="this picture is damaged")
    method = cv2.INTER_AREA if min(picture.shape[:2]) > size else cv2.INTER_LINEAR
    crop = cv2.resize(picture, (size, size), interpolation=method)[None, ..., ::-1]
    answers: list[float] = classifier.answers(np.ascontiguousarray(crop, np.uint8))[0].tolist()
    return answers


def _ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The items, made in another thread a few ahead of their use."""
    with ThreadPoolExecutor(1) as pool:
        coming = [pool.submit(next, items, None) for _ in range(AHEAD)]
        while (item := coming.pop(0).result()) is not None:
            coming.append(pool.submit(next, items, None))
            yield item
