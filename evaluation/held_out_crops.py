"""Face crops of held-out persons and videos, genuine and forged, all compressed: the frame-level measure.

Made apart from the training's pairs (models.datasets.pairs), so that a change of the training leaves the
measure alone: fixed difficulty, fixed strength of degradation, always through a video codec.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from evaluation.metrics import Flags
from models.datasets.defaults import PAIRS_PER_CLIP
from models.datasets.faces import FaceRecord, Source, canvas
from models.face import Image
from models.synthesis.augment import draw, through_codec
from models.synthesis.kinds import Forgery, make

DIFFICULTY = 0.5  # of the forgeries
STRENGTH = 0.7  # of the degradation
# Colour photographs and video are what will be screened; gray ones are a check of something else.
SHARES: dict[Source, float] = {"photo": 0.5, "video": 0.4, "gray_photo": 0.1}


@dataclass(frozen=True, kw_only=True)
class LabelledCrops:
    images: NDArray[np.uint8]  # (N, S, S, 3) RGB, as the classifier takes them
    fake: Flags  # (N,)
    group: NDArray[np.str_]  # (N,) the person or video
    kind: NDArray[np.str_]  # (N,) by which the pair's forged half was made: genuine halves carry it too


def held_out_crops(
    records: Sequence[FaceRecord],
    kinds: Sequence[str],
    *,
    size: int,
    margin: float,
    pairs: int,
    seed: int = 0,
) -> LabelledCrops:
    """`pairs` genuine crops and their forgeries of each kind; the same seed gives the same pixels.

    Args:
        size, margin: pixels and margin of the crops, of the checkpoint that will see them.
        pairs: per kind, rounded up to whole clips of eight.
    """
    by_source = {source: [each for each in records if each.source == source] for source in SHARES}
    images: list[Image] = []
    groups, names = [], []
    for kind in kinds:
        for number in range(-(-pairs // PAIRS_PER_CLIP)):
            rng = np.random.default_rng((seed, zlib.crc32(kind.encode()), number))
            pictures, people = _clip(by_source, kind, margin, rng)
            images += [_resized(picture, size) for picture in pictures]
            groups += [person for person in people for _ in range(2)]
            names += [kind] * len(pictures)
    return LabelledCrops(
        images=np.stack(images) if images else np.zeros((0, size, size, 3), np.uint8),
        fake=np.arange(len(images)) % 2 == 1,
        group=np.array(groups, np.str_),
        kind=np.array(names, np.str_),
    )


def _clip(
    by_source: dict[Source, list[FaceRecord]], kind: str, margin: float, rng: np.random.Generator
) -> tuple[list[Image], list[str]]:
    """Eight pairs, genuine and forged in turn, through one codec, and whose faces they are."""
    side = 2 * int(rng.integers(56, 129))
    shared = draw(rng, strength=STRENGTH)
    pictures: list[Image] = []
    people: list[str] = []
    for _ in range(PAIRS_PER_CLIP):
        target, other = _two(by_source, rng)
        forgery = Forgery(
            target=canvas(target, side, margin=margin, rng=rng),
            other=canvas(other, side, margin=1.5, rng=rng),
            difficulty=DIFFICULTY,
            rng=rng,
        )
        degradation = draw(rng, strength=STRENGTH)
        halves = (forgery.target.image, make(kind, forgery))
        pictures += [degradation.photometric(half) for half in halves]
        people.append(target.group)
    # A half's place in the stream must not tell what it is: encoders favour some places.
    order = rng.permutation(len(pictures))
    coded = through_codec([pictures[int(i)] for i in order], shared.codec or "libx264", shared.crf)
    return [coded[int(i)] for i in np.argsort(order)], people


def _two(
    by_source: dict[Source, list[FaceRecord]], rng: np.random.Generator
) -> tuple[FaceRecord, FaceRecord]:
    """A face and another person's of the same source, where there is one: colour on gray would show."""
    sources = [source for source, records in by_source.items() if records]
    shares = np.array([SHARES[source] for source in sources])
    records = by_source[sources[int(rng.choice(len(sources), p=shares / shares.sum()))]]
    target = records[int(rng.integers(len(records)))]
    for _ in range(20):
        other = records[int(rng.integers(len(records)))]
        if other.group != target.group:
            break
    return target, other


def _resized(picture: Image, size: int) -> Image:
    method = cv2.INTER_AREA if picture.shape[0] > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (size, size), interpolation=method), np.uint8)
