"""From pictures to faces by MTCNN's three networks.

The steps, thresholds and roundings are those of facenet-pytorch's `detect_face`, so that the faces are its
faces: `python -m bench.detection` compares them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models.face import Image
from models.mtcnn.networks import Answers, Networks, Numbers
from models.mtcnn.patches import Corners, cut
from models.mtcnn.pyramid import STRIDE, WINDOW, Canvas, Integral, Layout, Level, integral, layout
from models.uncompiled import uncompiled

with uncompiled():
    from torchvision.ops.boxes import batched_nms  # type: ignore[import-untyped]

PROPOSED, REFINED, SETTLED = 0.6, 0.7, 0.7  # least probabilities after each network
ALIKE = 0.7  # overlap from which two boxes are one
ALIKE_IN_LEVEL = 0.5

Pictures = NDArray[np.intp]  # (N,): to which picture each box belongs


@dataclass(frozen=True, kw_only=True)
class Found:
    """What is found in one picture, in its pixels; the largest box first."""

    boxes: Numbers  # (N, 4): left, top, right, bottom
    faces: Numbers  # (N,): probability of a face
    landmarks: Numbers  # (N, 5, 2)


NOTHING = Found(
    boxes=np.zeros((0, 4), np.float32),
    faces=np.zeros(0, np.float32),
    landmarks=np.zeros((0, 5, 2), np.float32),
)


@dataclass(frozen=True, kw_only=True)
class _Boxes:
    """Boxes of several pictures on their way through the cascade."""

    corners: Numbers  # (N, 4)
    faces: Numbers  # (N,)
    shifts: Numbers  # (N, 4)
    pictures: Pictures

    def __getitem__(self, chosen: NDArray[np.intp]) -> "_Boxes":
        return _Boxes(
            corners=self.corners[chosen],
            faces=self.faces[chosen],
            shifts=self.shifts[chosen],
            pictures=self.pictures[chosen],
        )

    def distinct(self, overlap: float) -> NDArray[np.intp]:
        """The most probable of those that overlap within a picture."""
        if len(self.faces) == 0:
            return np.zeros(0, np.intp)
        kept: NDArray[np.intp] = batched_nms(
            torch.from_numpy(self.corners),
            torch.from_numpy(self.faces),
            torch.from_numpy(self.pictures),
            overlap,
        ).numpy()
        return kept


def find(pictures: Iterable[Image], size: tuple[int, int], smallest: int, networks: Networks) -> list[Found]:
    """The faces of each picture.

    Args:
        pictures: all of one size; each is asked for while the networks look at those before.
        size: height and width of each, in pixels.
        smallest: shortest side of the smallest face that is looked for, in pixels.
    """
    shape = layout(*size, smallest)
    tables: list[Integral] = []

    def canvases() -> Iterator[Canvas]:
        for picture in pictures:
            tables.append(integral(picture))
            yield shape.canvas(tables[-1])

    answers = networks.propose(canvases())
    if not answers:
        return []
    integrals = np.stack(tables)
    boxes, corners = _seen(_proposed(shape, answers), size)
    if len(corners):
        boxes = _refined(boxes, networks.refine(cut(integrals, boxes.pictures, corners, 24)))
        boxes, corners = _seen(boxes, size)
    if not len(corners):
        return [NOTHING] * len(tables)
    settled = networks.settle(cut(integrals, boxes.pictures, corners, 48))
    return _settled(boxes, settled, len(tables))


def _proposed(shape: Layout, answers: Sequence[Answers]) -> _Boxes:
    parts = []
    for level in shape.levels:
        windows = _windows(level, answers)
        parts.append(windows[windows.distinct(ALIKE_IN_LEVEL)])
    boxes = _Boxes(
        corners=np.concatenate([part.corners for part in parts]),
        faces=np.concatenate([part.faces for part in parts]),
        shifts=np.concatenate([part.shifts for part in parts]),
        pictures=np.concatenate([part.pictures for part in parts]),
    )
    boxes = boxes[boxes.distinct(ALIKE)]
    sizes = boxes.corners[:, 2:] - boxes.corners[:, :2]
    return _with_corners(boxes, _square(boxes.corners + boxes.shifts * np.tile(sizes, 2)))


def _windows(level: Level, answers: Sequence[Answers]) -> _Boxes:
    """The places of a level at which P-net sees a face."""
    faces = np.stack([answer.faces[level.places] for answer in answers])
    shifts = np.stack([answer.shifts[level.places] for answer in answers])
    pictures, rows, columns = np.nonzero(faces >= PROPOSED)
    first = STRIDE * np.stack([columns, rows], axis=1).astype(np.float32)
    corners = np.concatenate([first + 1, first + WINDOW], axis=1) / np.float32(level.scale)
    return _Boxes(
        corners=np.floor(corners),
        faces=faces[pictures, rows, columns],
        shifts=shifts[pictures, rows, columns],
        pictures=pictures,
    )


def _refined(boxes: _Boxes, answers: Answers) -> _Boxes:
    boxes = _Boxes(corners=boxes.corners, faces=answers.faces, shifts=answers.shifts, pictures=boxes.pictures)
    (kept,) = np.nonzero(boxes.faces > REFINED)
    boxes = boxes[kept]
    boxes = boxes[boxes.distinct(ALIKE)]
    return _with_corners(boxes, _square(_shifted(boxes)))


def _settled(boxes: _Boxes, answers: Answers, count: int) -> list[Found]:
    boxes = _Boxes(corners=boxes.corners, faces=answers.faces, shifts=answers.shifts, pictures=boxes.pictures)
    sizes = boxes.corners[:, None, 2:] - boxes.corners[:, None, :2] + 1
    parts = np.zeros((len(boxes.faces), 2, 5), np.float32)
    if answers.landmarks is not None:
        parts = answers.landmarks.reshape(-1, 2, 5)
    landmarks = sizes * parts.transpose(0, 2, 1) + boxes.corners[:, None, :2] - 1
    (kept,) = np.nonzero(boxes.faces > SETTLED)
    boxes, landmarks = boxes[kept], landmarks[kept]
    boxes = _with_corners(boxes, _shifted(boxes))
    found = []
    for picture in range(count):
        (ours,) = np.nonzero(boxes.pictures == picture)
        ours = ours[_apart(boxes.corners[ours], boxes.faces[ours])]
        sizes = boxes.corners[ours, 2:] - boxes.corners[ours, :2]
        ours = ours[np.argsort(sizes.prod(axis=1))[::-1]]
        found.append(Found(boxes=boxes.corners[ours], faces=boxes.faces[ours], landmarks=landmarks[ours]))
    return found


def _apart(corners: Numbers, faces: Numbers) -> NDArray[np.intp]:
    """The most probable boxes, none of which shares more than ALIKE of the smaller one with another."""
    sizes = corners[:, 2:] - corners[:, :2] + 1
    areas = sizes.prod(axis=1)
    left = np.argsort(faces)[::-1]
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        shared = np.minimum(corners[best, 2:], corners[left, 2:])
        shared = np.maximum(0, shared - np.maximum(corners[best, :2], corners[left, :2]) + 1).prod(axis=1)
        left = left[shared / np.minimum(areas[best], areas[left]) <= ALIKE]
    return np.array(kept, np.intp)


def _seen(boxes: _Boxes, size: tuple[int, int]) -> tuple[_Boxes, Corners]:
    """The boxes of which some part lies in the picture, and the corners of that part."""
    # As the package has it: counted from 1, both ends belong to the box.
    whole = np.trunc(boxes.corners).astype(np.intp)
    corners: Corners = np.concatenate(
        [np.maximum(whole[:, :2], 1) - 1, np.minimum(whole[:, 2:], size[::-1])], axis=1
    )
    (seen,) = np.nonzero((corners[:, 2:] > corners[:, :2]).all(axis=1))
    return boxes[seen], corners[seen]


def _shifted(boxes: _Boxes) -> Numbers:
    sizes = boxes.corners[:, 2:] - boxes.corners[:, :2] + 1
    return boxes.corners + boxes.shifts * np.tile(sizes, 2)


def _square(corners: Numbers) -> Numbers:
    """Squares around the boxes' centres, as long as their longer sides."""
    sizes = corners[:, 2:] - corners[:, :2]
    longer = sizes.max(axis=1, keepdims=True, initial=0)
    first = corners[:, :2] + sizes * np.float32(0.5) - longer * np.float32(0.5)
    return np.concatenate([first, first + longer], axis=1)


def _with_corners(boxes: _Boxes, corners: Numbers) -> _Boxes:
    return _Boxes(corners=corners, faces=boxes.faces, shifts=boxes.shifts, pictures=boxes.pictures)
