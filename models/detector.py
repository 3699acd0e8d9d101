"""Finds faces with five landmarks by MTCNN (`models.mtcnn`), in batches."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import structlog

from core.errors import SettingsError
from core.settings import DetectionSettings
from models.choice import Choices
from models.face import Box, Face, Image
from models.mtcnn.cascade import Found, find
from models.mtcnn.networks import Networks, TorchNetworks
from models.mtcnn.openvino_networks import OpenVINONetworks

log = structlog.get_logger()

# MTCNN's own pyramid needs a few more pixels than its smallest face.
SHORTEST_SIDE = 24  # pixels of the shrunken frame

MODEL = "detector mtcnn"  # in what is remembered of measurements
PROBE_PICTURES, PROBE_FACE = 4, 20  # of noise, and pixels of the smallest face


@dataclass(frozen=True, kw_only=True)
class _Looked:
    """The last picture that the networks saw."""

    frame: tuple[int, int]  # height and width of the full frame, pixels
    picture: Image  # shrunken
    faces: list[Face]


class FaceDetector:
    """Finds faces on shrunken frames; boxes and landmarks come back in pixels of the full frame."""

    def __init__(
        self, settings: DetectionSettings, device: str = "cpu", *, networks: Networks | None = None
    ) -> None:
        """`networks`: None are those of the settings."""
        self._settings = settings
        self._networks = start_networks(settings.backend, device) if networks is None else networks
        self._last: _Looked | None = None

    @property
    def networks(self) -> Networks:
        return self._networks

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
        looks = _Looks(size, (height, width), self._last)
        self._last = None  # should the networks fail
        found = self.find(looks.new(images), size[::-1], smallest)
        scale = (width / size[0], height / size[1])
        faces = [self._faces(one, scale) for one in found]
        if looks.known is not None:
            faces.insert(0, looks.known.faces)
        self._last = _Looked(frame=(height, width), picture=looks.picture, faces=faces[-1])
        return [faces[number] for number in looks.numbers]

    def find(self, pictures: Iterator[Image], size: tuple[int, int], smallest: int, /) -> list[Found]:
        """What the networks find in shrunken frames, with arguments as of `models.mtcnn.cascade.find`."""
        return find(pictures, size, smallest, self._networks)

    def forget(self) -> None:
        """Look at the next frame even if it is the last one again."""
        self._last = None

    def _faces(self, found: Found, scale: tuple[float, float]) -> list[Face]:
        faces = []
        for box, probability, landmarks in zip(found.boxes, found.faces, found.landmarks, strict=True):
            x0, y0, x1, y1 = (float(value) for value in box)
            sane = np.isfinite([x0, y0, x1, y1]).all() and x1 > x0 and y1 > y0
            if not sane or float(probability) < self._settings.min_probability:
                continue
            faces.append(
                Face(
                    box=Box(x0=x0 * scale[0], y0=y0 * scale[1], x1=x1 * scale[0], y1=y1 * scale[1]),
                    landmarks=landmarks * np.asarray(scale, np.float32),
                    probability=min(1.0, float(probability)),
                )
            )
        faces.sort(key=lambda face: -face.probability)
        return faces[: self._settings.max_faces_per_frame]


def fastest_networks(choices: Choices) -> Networks:
    """Those for a CPU that are the fastest on this one; they find the same faces."""
    known = choices.known(MODEL)
    if known is not None:
        return start_networks("auto" if known.chosen == OpenVINONetworks.name else "torch", "cpu")
    offered = {each.name: each for each in (start_networks("auto", "cpu"), start_networks("torch", "cpu"))}
    pictures = np.random.default_rng(0).integers(0, 256, (PROBE_PICTURES, 180, 320, 3), dtype=np.uint8)
    looks = {
        name: partial(find, pictures, pictures.shape[1:3], PROBE_FACE, networks)
        for name, networks in offered.items()
    }
    for look in looks.values():
        look()  # warm
    return offered[choices.choose(MODEL, looks).chosen]


class _Looks:
    """Frames on their way to the networks, which see a still passage only once.

    A frame is left out if, shrunken, it is the one before to the last bit: that is all that the networks
    would see of it, so its faces are the same.
    """

    def __init__(self, size: tuple[int, int], frame: tuple[int, int], last: _Looked | None) -> None:
        """`size`: of the shrunken frames, width and height; `frame`: of the full ones, height and width."""
        self._size = size
        self.known = last if last is not None and last.frame == frame else None
        self.picture = np.zeros(0, np.uint8) if self.known is None else self.known.picture
        self.numbers: list[int] = []  # for each frame, which of the known and the new ones it is

    def new(self, images: Iterable[Image]) -> Iterator[Image]:
        """The shrunken frames that differ from the one before."""
        number = -1 if self.known is None else 0
        for image in images:
            shrunken = self._shrunken(image)
            if not np.array_equal(shrunken, self.picture):
                self.picture = shrunken
                number += 1
                yield shrunken
            self.numbers.append(number)

    def _shrunken(self, image: Image) -> Image:
        if image.shape[:2] == self._size[::-1]:
            return image.copy()  # kept until the next call: the caller may write on its own
        return np.asarray(cv2.resize(image, self._size, interpolation=cv2.INTER_AREA), np.uint8)


def start_networks(backend: str, device: str) -> Networks:
    """The networks that `backend` names: `openvino`, `torch`, or `auto`, by the device (`cpu` or `cuda`).

    Raises SettingsError if the device cannot run them.
    """
    if backend == "openvino" and device == "cuda":
        reason = "openvino runs on the CPU; use `auto`, or FACEWARDEN_DEVICE=cpu"
        raise SettingsError(setting="FACEWARDEN_DETECTION__BACKEND", reason=reason)
    if backend == "torch" or device == "cuda":
        return TorchNetworks(device)
    try:
        return OpenVINONetworks()
    except RuntimeError as error:  # a CPU that it does not know
        if backend == "openvino":
            reason = f"OpenVINO does not start here ({str(error).splitlines()[0]}); use `torch`"
            raise SettingsError(setting="FACEWARDEN_DETECTION__BACKEND", reason=reason) from error
        log.warning("faces are found by torch, more slowly", reason=str(error).splitlines()[0])
        return TorchNetworks(device)


def _batches(indices: list[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(indices), size):
        yield indices[start : start + size]
