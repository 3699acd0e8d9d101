"""Batches of genuine faces and pseudo-fakes of the same faces, made on the fly from a seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset, get_worker_info

from models.datasets.defaults import PAIRS_PER_CLIP
from models.datasets.faces import FaceRecord, Source, canvas
from models.datasets.masks import Parts, forged_part, parts_of
from models.face import Image
from models.synthesis.augment import Degradation, draw, through_codec
from models.synthesis.kinds import Forgery, make

# How often each source is drawn: colour photographs and video resemble what will be screened.
SOURCE_WEIGHTS: dict[Source, float] = {"photo": 0.5, "video": 0.3, "gray_photo": 0.2}


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How hard the pairs of one step are."""

    difficulty: float  # of the forgeries, [0, 1]
    strength: float  # of the degradation, [0, 1]
    size: int  # pixels of the finished crops


class Pairs(NamedTuple):
    """A genuine picture, a fake one, a genuine one, ..."""

    images: NDArray[np.uint8]  # (2 * pairs, S, S, 3) RGB
    labels: NDArray[np.float32]  # (2 * pairs,), 1 for fake
    forged: Parts  # (2 * pairs, GRID, GRID): where


class ClipMaker(Protocol):
    def clip(self, number: int, schedule: Schedule) -> Pairs:
        """The pairs that share a pass through the codec; from the number alone."""
        ...


class PairMaker:
    """Makes clips of pairs; the same seed and number give the same pixels on every machine."""

    def __init__(
        self,
        records: Sequence[FaceRecord],
        kinds: Sequence[str],
        *,
        margin: float,
        seed: int,
        pairs: int = PAIRS_PER_CLIP,
    ) -> None:
        self._by_source: dict[Source, list[FaceRecord]] = {
            source: [record for record in records if record.source == source] for source in SOURCE_WEIGHTS
        }
        weights = np.array([SOURCE_WEIGHTS[s] if self._by_source[s] else 0.0 for s in SOURCE_WEIGHTS])
        self._weights = weights / weights.sum()
        self._kinds = list(kinds)
        self._margin = margin
        self._seed = seed
        self._pairs = pairs

    def clip(self, number: int, schedule: Schedule) -> Pairs:
        """The pairs of this number."""
        rng = np.random.default_rng((self._seed, number))
        side = 2 * int(rng.integers(56, 129))
        shared = draw(rng, strength=schedule.strength)
        pictures: list[Image] = []
        labels = labels_of(self._pairs)
        forged = parts_of(labels)
        for pair in range(self._pairs):
            halves, forged[2 * pair + 1] = self._pair(rng, side, schedule)
            pictures += halves
        # A generator of its own draws the order in the codec.
        order = np.random.default_rng((self._seed, number, 1))
        return Pairs(finished(pictures, shared, schedule.size, order), labels, forged)

    def _pair(self, rng: np.random.Generator, side: int, schedule: Schedule) -> tuple[list[Image], Parts]:
        target, other = self._draw(rng), self._draw(rng)
        if other.source != target.source and "gray_photo" in (other.source, target.source):
            other = self._draw_from(rng, target.source)  # colour on gray would give the forgery away
        margin = self._margin * float(rng.uniform(0.92, 1.15))
        forgery = Forgery(
            target=canvas(target, side, margin=margin, rng=rng),
            other=canvas(other, side, margin=1.5, rng=rng),
            difficulty=float(np.clip(rng.normal(schedule.difficulty, 0.2), 0, 1)),
            rng=rng,
        )
        kind = self._kinds[int(rng.integers(len(self._kinds)))]
        degradation = draw(rng, strength=schedule.strength)
        genuine, fake = forgery.target.image, make(kind, forgery)
        return [degradation.photometric(image) for image in (genuine, fake)], forged_part(genuine, fake)

    def _draw(self, rng: np.random.Generator) -> FaceRecord:
        sources = list(SOURCE_WEIGHTS)
        return self._draw_from(rng, sources[int(rng.choice(len(sources), p=self._weights))])

    def _draw_from(self, rng: np.random.Generator, source: Source) -> FaceRecord:
        records = self._by_source[source]
        return records[int(rng.integers(len(records)))]


def finished(
    pictures: Sequence[Image], shared: Degradation, size: int, order: np.random.Generator
) -> NDArray[np.uint8]:
    """The pictures, all of one even size, through the clip's codec and scaled to `size`."""
    if shared.codec:
        # An encoder treats later pictures differently from earlier ones: if the forged half always came
        # second, its place in the stream would give it away.
        places = order.permutation(len(pictures))
        coded = through_codec([pictures[int(i)] for i in places], shared.codec, shared.crf)
        pictures = [coded[int(i)] for i in np.argsort(places)]
    method = cv2.INTER_AREA if pictures[0].shape[0] > size else cv2.INTER_LINEAR
    return np.stack(
        [np.asarray(cv2.resize(p, (size, size), interpolation=method), np.uint8) for p in pictures]
    )


def labels_of(pairs: int) -> NDArray[np.float32]:
    """Of pairs of a genuine and a fake picture."""
    return np.tile(np.array([0, 1], np.float32), pairs)


class Batch(NamedTuple):
    """Pairs as tensors."""

    images: torch.Tensor
    labels: torch.Tensor
    forged: torch.Tensor


class PairStream(IterableDataset[Batch]):
    """Batches for steps `start..`, each of `clips` clips, in order whatever the number of loaders.

    Of `world` processes that train together each gets clips of its own.
    """

    def __init__(
        self,
        maker: ClipMaker,
        schedules: Sequence[Schedule],
        *,
        start: int,
        clips: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self._maker, self._schedules, self._start, self._clips = maker, schedules, start, clips
        self._rank, self._world = rank, world

    def __iter__(self) -> Iterator[Batch]:
        cv2.setNumThreads(1)
        # The loader takes a batch from each of its processes in turn.
        loader = get_worker_info()
        first, every = (loader.id, loader.num_workers) if loader else (0, 1)
        for step in range(self._start + first, len(self._schedules), every):
            numbers = [(step * self._clips + i) * self._world + self._rank for i in range(self._clips)]
            made = [self._maker.clip(number, self._schedules[step]) for number in numbers]
            images, labels, forged = (np.concatenate(part) for part in zip(*made, strict=True))
            yield Batch(torch.from_numpy(images), torch.from_numpy(labels), torch.from_numpy(forged))
