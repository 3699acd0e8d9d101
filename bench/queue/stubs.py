"""Stand-ins for what looks at videos: a decoder, a detector, a classifier that take next to no time.

All else of the pipeline is the real one. One video in FLAGGED_EVERY is called a fake, so that its frames are
kept and queued for an explanation.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np

from bench.queue.files import number_of
from core.model_version import ModelVersion, read_model_version
from models.backends import Answers, Crops
from models.classifier import Classifier
from models.detector import FaceDetector
from models.face import Box, Face, Image
from worker.context import Context
from worker.decoder.reader import DecodeReport, Frame, Probe, StreamReport, VideoReader
from worker.screening.pipeline import Pipeline
from worker.screening.screened import Screened

FRAMES = 4  # sampled of each video, half a second apart
WIDTH, HEIGHT = 320, 240
FLAGGED_EVERY = 10  # videos
LOGIT = 20.0  # far beyond any threshold
BRIGHT = 200  # mean red of a fake's face; others stay below


class StubReader(VideoReader):
    """Pictures drawn from the file's number: those of one video alike, those of two different."""

    def __enter__(self) -> Self:
        self._probe = Probe(
            container="mp4",
            codec="h264",
            pixel_format="yuv420p",
            width=WIDTH,
            height=HEIGHT,
            rotation=0,
            duration_seconds=FRAMES / 2,
            frame_rate=25.0,
            frames=FRAMES * 12,
            expected_samples=FRAMES,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """There is nothing to close."""

    def __iter__(self) -> Iterator[Frame]:
        picture = _picture(number_of(self._path.read_bytes()))
        for index in range(FRAMES):
            yield Frame(
                index=index, time_seconds=index / 2, keyframe=True, damaged=False, image=picture.copy()
            )
        self.report = DecodeReport(
            expected=FRAMES,
            taken=FRAMES,
            damaged=0,
            decoded_frames=FRAMES,
            seconds=0.0,
            longest_unseen_seconds=0.5,
            streams={0: StreamReport(taken=FRAMES)},
        )


def _picture(number: int) -> Image:
    random = np.random.default_rng(number)
    coarse = random.integers(0, 160, (6, 8, 3), np.uint8)
    picture = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    picture += random.integers(0, 40, picture.shape, np.uint8)  # no blurred face
    if number % FLAGGED_EVERY == 0:
        picture[..., 0] = 224 + picture[..., 0] // 8
    return np.asarray(picture, np.uint8)


class StubDetector(FaceDetector):
    """One sure, upright face in the middle of each picture."""

    def __init__(self) -> None:
        self._face = Face(
            box=Box(x0=110, y0=60, x1=210, y1=180),
            landmarks=np.array([[138, 108], [182, 108], [160, 132], [142, 156], [178, 156]], np.float32),
            probability=0.9999,
        )

    def detect(self, images: Sequence[Image]) -> list[list[Face]]:
        # Halved pictures, in which one looks for heads upside down, have none.
        return [[self._face] if image.shape[1] == WIDTH else [] for image in images]


class StubClassifier(Classifier):
    """Tells the fakes by their red."""

    def __init__(self, version: ModelVersion) -> None:
        self.version = version

    def answers(self, crops: Crops) -> Answers:
        answers = np.zeros((len(crops), 1 + len(self.version.families)), np.float32)
        answers[:, 0] = np.where(crops[..., 0].mean(axis=(1, 2)) > BRIGHT, LOGIT, -LOGIT)
        return answers


@dataclass(frozen=True, kw_only=True)
class Turn:
    """When the pipeline had a video, in seconds, by the monotonic clock and by the process's CPU time."""

    ended: float
    stubbed: float  # spent in the stages of the stand-ins
    pipeline: float  # spent in all other stages: hashes, crops, tracks, pictures
    ended_cpu: float
    stubbed_cpu: float
    pipeline_cpu: float


class StubPipeline(Pipeline):
    """The pipeline with the stand-ins; it notes its turns."""

    reader = StubReader

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.turns: list[Turn] = []
        self._stubbed = self._stubbed_cpu = 0.0

    def screen(self, path: Path, **options: Any) -> Screened:
        self._stubbed = self._stubbed_cpu = 0.0
        began, began_cpu = time.monotonic(), time.process_time()
        screened = super().screen(path, **options)
        ended, ended_cpu = time.monotonic(), time.process_time()
        self.turns.append(
            Turn(
                ended=ended,
                stubbed=self._stubbed,
                pipeline=ended - began - self._stubbed,
                ended_cpu=ended_cpu,
                stubbed_cpu=self._stubbed_cpu,
                pipeline_cpu=ended_cpu - began_cpu - self._stubbed_cpu,
            )
        )
        return screened

    def _decode(self, *arguments: Any) -> Iterator[list[Frame]]:
        batches = super()._decode(*arguments)
        while True:
            with self._standing_in():
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def _detect(self, *arguments: Any) -> list[list[Face]]:
        with self._standing_in():
            return super()._detect(*arguments)

    def _classify(self, *arguments: Any, **options: Any) -> None:
        with self._standing_in():
            super()._classify(*arguments, **options)

    @contextmanager
    def _standing_in(self) -> Iterator[None]:
        began, began_cpu = time.monotonic(), time.thread_time()
        yield
        self._stubbed += time.monotonic() - began
        self._stubbed_cpu += time.thread_time() - began_cpu


class StubContext(Context):
    """A worker's context with the stand-ins, under the name of the settings' model."""

    @cached_property
    def classifier(self) -> Classifier:
        return StubClassifier(read_model_version(self.settings.weights))

    @cached_property
    def detector(self) -> FaceDetector:
        return StubDetector()

    @cached_property
    def pipeline(self) -> Pipeline:
        return StubPipeline(self.settings, self.detector, self.classifier)

    @property
    def turns(self) -> list[Turn]:
        assert isinstance(self.pipeline, StubPipeline)  # noqa: S101  made here
        return self.pipeline.turns
