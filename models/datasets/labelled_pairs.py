"""Clips of labelled faces: pictures of a data set with its own fakes, as many genuine as fake."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.model_version import CropSettings
from models.crop import crop_face
from models.datasets.defaults import Augmentation
from models.datasets.faces import FaceRecord, canvas
from models.datasets.masks import parts_of
from models.datasets.pairs import ClipMaker, Pairs, Schedule, finished, labels_of
from models.face import Image
from models.synthesis.augment import draw
from models.synthesis.kinds import as_gray


class LabelledMaker:
    """Makes clips of labelled faces; the same seed and number give the same pixels on every machine.

    Each class is traversed in an order of its own, shuffled for each pass: faces of the smaller one repeat
    before the other has been seen completely, which balances the classes.
    """

    def __init__(
        self,
        genuine: Sequence[FaceRecord],
        fake: Sequence[FaceRecord],
        *,
        margin: float,
        seed: int,
        pairs: int,
        augmentation: Augmentation = "world",
    ) -> None:
        self._classes = (genuine, fake)
        self._margin, self._seed, self._pairs = margin, seed, pairs
        self._augmentation = augmentation
        self._orders: dict[int, tuple[int, NDArray[np.int64]]] = {}  # of each class: the pass, its order

    def clip(self, number: int, schedule: Schedule) -> Pairs:
        """The pairs of this number; where a fake is forged is unknown."""
        rng = np.random.default_rng((self._seed, number, 2))
        places = range(number * self._pairs, (number + 1) * self._pairs)
        pairs = [(self._face(0, place), self._face(1, place)) for place in places]
        if self._augmentation == "flips":
            pictures = [self._as_screened(face, schedule.size, rng) for pair in pairs for face in pair]
            return self._labelled(np.stack(pictures))
        side = 2 * int(rng.integers(56, 129))
        shared = draw(rng, strength=schedule.strength)
        worn = [image for pair in pairs for image in self._worn(pair, side, schedule, rng)]
        order = np.random.default_rng((self._seed, number, 3))
        return self._labelled(finished(worn, shared, schedule.size, order))

    def _labelled(self, images: NDArray[np.uint8]) -> Pairs:
        labels = labels_of(self._pairs)
        return Pairs(images, labels, parts_of(labels))

    def _face(self, which: int, place: int) -> FaceRecord:
        faces = self._classes[which]
        turn, index = divmod(place, len(faces))
        if which not in self._orders or self._orders[which][0] != turn:
            drawn = np.random.default_rng((self._seed, which, turn, 4)).permutation(len(faces))
            self._orders[which] = (turn, drawn)
        return faces[int(self._orders[which][1][index])]

    def _as_screened(self, face: FaceRecord, size: int, rng: np.random.Generator) -> Image:
        """Cropped as the worker does, mirrored half of the time."""
        crop = crop_face(face.load(), face.box, CropSettings(margin=self._margin), size)
        return np.ascontiguousarray(crop[:, ::-1]) if rng.random() < 0.5 else crop

    def _worn(
        self, pair: tuple[FaceRecord, FaceRecord], side: int, schedule: Schedule, rng: np.random.Generator
    ) -> list[Image]:
        """Both degraded in the same way."""
        margin = self._margin * float(rng.uniform(0.92, 1.15))
        images = [canvas(face, side, margin=margin, rng=rng).image for face in pair]
        if any(face.source == "gray_photo" for face in pair):  # colour would tell them apart
            images = [as_gray(image) for image in images]
        degradation = draw(rng, strength=schedule.strength)
        return [degradation.photometric(image) for image in images]


class MixedMaker:
    """Clips of one maker among those of another, by their number."""

    def __init__(self, most: ClipMaker, some: ClipMaker, *, share: float, seed: int) -> None:
        """`share`: of the clips that come from `some`, in [0, 1]."""
        self._most, self._some, self._share, self._seed = most, some, share, seed

    def clip(self, number: int, schedule: Schedule) -> Pairs:
        """A clip of either."""
        coin = np.random.default_rng((self._seed, number, 5)).random()
        return (self._some if coin < self._share else self._most).clip(number, schedule)
