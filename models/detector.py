"""MTCNN (Zhang et al., 2016) through facenet-pytorch: faces with five landmarks, in batches."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import torch
from facenet_pytorch import MTCNN

from core.settings import DetectionSettings
from models.face import Box, Face, Image

# MTCNN's own pyramid needs a few more pixels than its smallest face.
SHORTEST_SIDE = 24  # pixels of the shrunken frame

# Torch's, on a CPU. MTCNN is thousands of tiny operations: a second thread saves little on an idle machine,
# and if the decoder or another worker needs the core they wait for each other (measured: 7 times slower).
THREADS = 1


class FaceDetector:
    """Finds faces on shrunken frames; boxes and landmarks come back in pixels of the full frame."""

    def __init__(self, settings: DetectionSettings, device: str = "cpu") -> None:
        self._settings = settings
        self._device = device
        self._networks: dict[int, Any] = {}  # by smallest face in pixels: it shapes MTCNN's pyramid

    def detect(self, images: Sequence[Image]) -> list[list[Face]]:
        """Find the faces of each picture, the most probable first.

        Args:
            images: uint8 (H, W, 3) RGB each; sizes may differ (pictures of one size share a batch).

        A picture too small to hold a face gives an empty list.
        """
        found: list[list[Face]] = [[] for _ in images]
        by_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, image in enumerate(images):
            by_size[image.shape].append(index)
        for indices in by_size.values():
            for batch in _batches(indices, self._settings.batch_size):
                for index, faces in zip(batch, self._detect_batch([images[i] for i in batch]), strict=True):
                    found[index] = faces
        return found

    def _detect_batch(self, images: list[Image]) -> list[list[Face]]:
        height, width = images[0].shape[:2]
        factor = min(1.0, self._settings.long_side / max(height, width, 1))
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        smallest = max(self._settings.min_face_pixels, round(self._settings.min_face_fraction * max(size)))
        if min(size) < max(SHORTEST_SIDE, smallest):
            return [[] for _ in images]
        if factor < 1:
            images = [
                np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
                for image in images
            ]
        scale = (width / size[0], height / size[1])
        with torch.inference_mode(), _threads(THREADS):
            boxes, probabilities, landmarks = self._network(smallest).detect(np.stack(images), landmarks=True)
        return [self._faces(*one, scale) for one in zip(boxes, probabilities, landmarks, strict=True)]

    def _network(self, smallest: int) -> Any:
        if smallest not in self._networks:
            network = MTCNN(keep_all=True, min_face_size=smallest, device=self._device, post_process=False)
            # The same faces in two thirds of the time, measured: the candidates already have this layout.
            self._networks[smallest] = network.eval().to(memory_format=torch.channels_last)
        return self._networks[smallest]

    def _faces(
        self, boxes: Any, probabilities: Any, landmarks: Any, scale: tuple[float, float]
    ) -> list[Face]:
        if boxes is None:
            return []
        faces = []
        for box, probability, points in zip(boxes, probabilities, landmarks, strict=True):
            # MTCNN returns object arrays if the pictures of a batch differ in their number of faces.
            x0, y0, x1, y1 = (float(value) for value in box)
            sane = np.isfinite([x0, y0, x1, y1]).all() and x1 > x0 and y1 > y0
            if not sane or float(probability) < self._settings.min_probability:
                continue
            faces.append(
                Face(
                    box=Box(x0=x0 * scale[0], y0=y0 * scale[1], x1=x1 * scale[0], y1=y1 * scale[1]),
                    landmarks=np.asarray(points, np.float32) * np.asarray(scale, np.float32),
                    probability=min(1.0, float(probability)),
                )
            )
        faces.sort(key=lambda face: -face.probability)
        return faces[: self._settings.max_faces_per_frame]


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _batches(indices: list[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(indices), size):
        yield indices[start : start + size]
