"""Labelled clips: balanced, seeded, and cut or worn alike in both halves."""

from collections import Counter
from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from core.model_version import CropSettings
from models.crop import crop_face
from models.datasets.defaults import Augmentation
from models.datasets.faces import FaceRecord, Source
from models.datasets.labelled_pairs import LabelledMaker, MixedMaker
from models.datasets.pairs import Schedule
from models.face import Box, Image

PLAN = Schedule(difficulty=0.5, strength=0.8, size=48)


def record(number: int, *, fake: bool, source: Source = "photo") -> FaceRecord:
    """A picture whose mean tells its number, red for genuine and blue for fake."""
    image: Image = np.full((120, 120, 3), 20 + 12 * number, np.uint8)
    image[..., 2 if fake else 0] = 250
    image = np.asarray(cv2.circle(image, (30 + number, 50), 9, (0, 255, 0), -1), np.uint8)
    landmarks = np.array([[45, 45], [75, 45], [60, 62], [48, 78], [72, 78]], np.float32)
    box = Box(x0=35, y0=30, x1=85, y1=90)
    return FaceRecord(source=source, group=str(number), box=box, landmarks=landmarks, image=image)


def maker(
    genuine: int = 3, fake: int = 6, *, augmentation: Augmentation = "flips", source: Source = "photo"
) -> LabelledMaker:
    return LabelledMaker(
        [record(number, fake=False, source=source) for number in range(genuine)],
        [record(number, fake=True) for number in range(fake)],
        margin=1.3,
        seed=3,
        pairs=2,
        augmentation=augmentation,
    )


def shown(images: NDArray[np.uint8], faces: Sequence[FaceRecord]) -> list[int]:
    """Which face each picture is, as the worker cuts it or mirrored."""
    crops = [crop_face(face.load(), face.box, CropSettings(margin=1.3), PLAN.size) for face in faces]
    both = [(number, variant) for number, crop in enumerate(crops) for variant in (crop, crop[:, ::-1])]
    found = [[number for number, crop in both if (crop == image).all()] for image in images]
    assert all(len(set(numbers)) == 1 for numbers in found)
    return [numbers[0] for numbers in found]


def test_an_epoch_shows_every_fake_once_and_genuine_faces_again() -> None:
    clips = [maker().clip(number, PLAN) for number in range(3)]
    labels = np.concatenate([clip.labels for clip in clips])
    images = np.concatenate([clip.images for clip in clips])
    assert labels.tolist() == [0, 1] * 6
    assert Counter(shown(images[1::2], [record(n, fake=True) for n in range(6)])) == dict.fromkeys(
        range(6), 1
    )
    genuine = shown(images[0::2], [record(n, fake=False) for n in range(3)])
    assert Counter(genuine) == dict.fromkeys(range(3), 2)


def test_another_pass_has_another_order() -> None:
    fakes = [record(n, fake=True) for n in range(6)]
    passes = [
        [face for number in numbers for face in shown(maker().clip(number, PLAN)[0][1::2], fakes)]
        for numbers in (range(3), range(3, 6), range(6, 9))
    ]
    assert passes[0] != passes[1] or passes[1] != passes[2]
    assert [sorted(each) for each in passes] == [list(range(6))] * 3


@pytest.mark.parametrize("augmentation", ["flips", "world"])
def test_a_clip_follows_from_its_number(augmentation: Augmentation) -> None:
    used = maker(augmentation=augmentation)
    later = used.clip(7, PLAN)[0]
    used.clip(2, PLAN)
    assert (used.clip(7, PLAN)[0] == later).all()
    assert (maker(augmentation=augmentation).clip(7, PLAN)[0] == later).all()
    assert later.shape == (4, 48, 48, 3)


def test_a_gray_face_makes_its_pair_gray() -> None:
    images = maker(augmentation="world", source="gray_photo").clip(0, PLAN).images
    assert np.ptp(images.astype(int), axis=3).max() <= 6  # a codec may leave a tint
    coloured = maker(augmentation="world").clip(0, PLAN).images
    assert np.ptp(coloured.astype(int), axis=3).max() > 50


def test_makers_are_mixed_by_their_share() -> None:
    class Constant:
        def __init__(self, value: int) -> None:
            self.value = value

        def clip(self, *_: object) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
            return np.full((1, 1, 1, 3), self.value, np.uint8), np.zeros(1, np.float32)

    for share in (0.0, 0.25, 1.0):
        mixed = MixedMaker(Constant(0), Constant(1), share=share, seed=1)
        drawn = [int(mixed.clip(number, PLAN)[0].max()) for number in range(600)]
        assert np.mean(drawn) == pytest.approx(share, abs=0.06)
        assert drawn == [int(mixed.clip(number, PLAN)[0].max()) for number in range(600)]
