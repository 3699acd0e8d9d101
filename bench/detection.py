"""The detector against facenet-pytorch's own MTCNN: the same faces? how much faster? do scores move?

    python -m bench.detection --data FOLDER [--videos 40] [--pictures 200] [--backend openvino]

FOLDER is FACEWARDEN_DATA. Of each video a few frames are looked at, of each corpus of pictures as many; both
detectors see the same shrunken frames. Then whole videos are screened with either, and their scores compared.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch
from facenet_pytorch import MTCNN
from rich.table import Table

from bench import bench_console
from core.errors import InputError
from core.logs import configure
from core.settings import DetectionSettings, Settings
from evaluation.screening import pipeline_of
from models.detector import FaceDetector
from models.face import Face, Image
from models.mtcnn.cascade import NOTHING, Found
from worker.screening.pipeline import Pipeline

FRAMES = 4  # of a video, two thirds of a second apart at 30 a second
EVERY = 20
SAME = 0.5  # overlap from which two boxes are one face
# A face is the same if its box overlaps by so much and no landmark moves by more pixels (shrunken frame).
LEAST_OVERLAP, MOST_PIXELS = 0.99, 0.5
OUTPUT = Path("build/detection.json")


class PackageDetector(FaceDetector):
    """Finds faces by the package's own code, as Facewarden did once: one thread, in channels_last."""

    def __init__(self, settings: DetectionSettings) -> None:
        super().__init__(settings, networks=None)
        self._packages: dict[int, Any] = {}  # by smallest face, which shapes MTCNN's pyramid

    def find(self, pictures: Iterator[Image], _size: tuple[int, int], smallest: int, /) -> list[Found]:
        images = list(pictures)
        if not images:
            return []
        if smallest not in self._packages:
            network = MTCNN(keep_all=True, min_face_size=smallest, post_process=False).eval()
            self._packages[smallest] = network.to(memory_format=torch.channels_last)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.inference_mode():
                found = self._packages[smallest].detect(np.stack(images), landmarks=True)
        finally:
            torch.set_num_threads(threads)
        return [
            NOTHING
            if boxes is None
            else Found(
                boxes=np.asarray(boxes, np.float32),
                faces=np.asarray(faces, np.float32),
                landmarks=np.asarray(landmarks, np.float32),
            )
            for boxes, faces, landmarks in zip(*found, strict=True)
        ]


@dataclass
class Compared:
    """The faces of some frames, by both."""

    frames: int = 0
    faces: int = 0  # by the package
    missed: int = 0
    new: int = 0
    overlaps: list[float] = field(default_factory=list)
    pixels: list[float] = field(default_factory=list)  # the most that a landmark moves, shrunken frame
    package_seconds: float = 0.0  # CPU and wall time are told apart below
    seconds: float = 0.0
    package_cpu: float = 0.0
    cpu: float = 0.0

    def add(self, before: Sequence[Face], now: Sequence[Face], factor: float) -> None:
        """`factor`: of shrinking."""
        self.frames += 1
        self.faces += len(before)
        left = list(now)
        for face in before:
            best = max(left, key=lambda one: one.box.iou(face.box), default=None)
            if best is None or best.box.iou(face.box) < SAME:
                self.missed += 1
                continue
            left.remove(best)
            self.overlaps.append(best.box.iou(face.box))
            self.pixels.append(factor * float(np.abs(best.landmarks - face.landmarks).max()))
        self.new += len(left)

    @property
    def same(self) -> int:
        return sum(
            overlap >= LEAST_OVERLAP and pixels <= MOST_PIXELS
            for overlap, pixels in zip(self.overlaps, self.pixels, strict=True)
        )


def main(arguments: Sequence[str] | None = None) -> None:
    given = _arguments(arguments)
    settings = Settings(home=Path("build/bench"), device="cpu", log_level="error", _env_file=None)
    configure(settings)
    detection = settings.detection.model_copy(update={"backend": given.backend})
    package, ours = PackageDetector(detection), FaceDetector(detection)
    videos = _spread(sorted(given.data.rglob("*.mp4")), given.videos)
    kinds = {
        "videos": map(_frames, videos),
        "pictures": ([_picture(path)] for path in _spread(_pictures(given.data), given.pictures)),
    }
    report: dict[str, Any] = {"backend": ours.networks.name}
    table = Table(title=f"faces by {ours.networks.name} against the package's MTCNN, one thread")
    for column in ("", "frames", "faces", "same", "missed", "new", "least IoU", "most px", "CPU", "time"):
        table.add_column(column, justify="right")
    for kind, groups in kinds.items():
        compared = _compare(groups, package, ours, detection.long_side)
        report[kind] = {name: value for name, value in vars(compared).items() if not isinstance(value, list)}
        report[kind] |= {
            "same": compared.same,
            "least_overlap": min(compared.overlaps, default=None),
            "most_pixels": max(compared.pixels, default=None),
        }
        table.add_row(kind, *_told(compared))
    bench_console().print(table)
    report["scores"] = _scores(videos, settings, package, ours)
    moved = report["scores"]["largest_difference"]
    print(
        f"{report['scores']['clips']} videos screened with either: {report['scores']['verdicts_changed']}"
        f" verdicts changed, no probability by more than {moved:.6f}"
    )
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(report, indent=1) + "\n")
    print(f"bench.detection: done, written to {OUTPUT}")


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.detection")
    parser.add_argument("--data", type=Path, required=True, help="FACEWARDEN_DATA")
    parser.add_argument("--videos", type=int, default=40)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--backend", choices=("auto", "openvino", "torch"), default="auto")
    return parser.parse_args(arguments)


def _compare(groups: Any, package: FaceDetector, ours: FaceDetector, long_side: int) -> Compared:
    compared = Compared()
    for images in groups:
        ours.detect(images)  # warm: what is compiled once is not measured
        since, spent = time.perf_counter(), time.process_time()
        before = package.detect(images)
        between, between_spent = time.perf_counter(), time.process_time()
        ours.forget()
        now = ours.detect(images)
        compared.package_seconds += between - since
        compared.package_cpu += between_spent - spent
        compared.seconds += time.perf_counter() - between
        compared.cpu += time.process_time() - between_spent
        for image, one, other in zip(images, before, now, strict=True):
            compared.add(one, other, min(1.0, long_side / max(image.shape[:2])))
    return compared


def _told(compared: Compared) -> list[str]:
    return [
        *(str(n) for n in (compared.frames, compared.faces, compared.same, compared.missed, compared.new)),
        f"{min(compared.overlaps, default=1):.6f}",
        f"{max(compared.pixels, default=0):.6f}",
        f"{compared.package_cpu / compared.cpu:.1f}x" if compared.cpu else "",
        f"{compared.package_seconds / compared.seconds:.1f}x" if compared.seconds else "",
    ]


def _scores(
    videos: Sequence[Path], settings: Settings, package: FaceDetector, ours: FaceDetector
) -> dict[str, Any]:
    """How far the videos' probabilities lie apart."""
    pipelines = [pipeline_of(settings, settings.weights, detector) for detector in (package, ours)]
    pairs = [[_score(pipeline, video) for pipeline in pipelines] for video in videos]
    differences = [
        abs(one[1] - other[1]) for one, other in pairs if one[1] is not None and other[1] is not None
    ]
    return {
        "clips": len(videos),
        "with_a_score": len(differences),
        "verdicts_changed": sum(one[0] != other[0] for one, other in pairs),
        "largest_difference": max(differences, default=0.0),
    }


def _score(pipeline: Pipeline, video: Path) -> tuple[str, float | None]:
    try:
        screened = pipeline.screen(video).video
    except InputError as error:
        return error.code, None
    return screened.verdict.value, screened.score


def _spread(paths: Sequence[Path], count: int) -> list[Path]:
    """So many, evenly spread."""
    chosen = np.linspace(0, len(paths) - 1, min(count, len(paths))).astype(int)
    return [paths[number] for number in chosen]


def _pictures(data: Path) -> list[Path]:
    return sorted(path for path in data.rglob("*.jpg") if "cases" not in path.parts)


def _frames(video: Path) -> list[Image]:
    with av.open(str(video)) as container:
        frames = (frame for number, frame in enumerate(container.decode(video=0)) if number % EVERY == 0)
        return [
            np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            for frame, _ in zip(frames, range(FRAMES), strict=False)
        ]


def _picture(path: Path) -> Image:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    return (
        np.zeros((1, 1, 3), np.uint8) if image is None else np.ascontiguousarray(image[..., ::-1], np.uint8)
    )


if __name__ == "__main__":
    main()
