"""Pairs: made from their number alone, and nothing but the forgery separates their halves."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.data import astronaut

from models.datasets.defaults import PAIRS_PER_CLIP
from models.datasets.faces import FaceRecord
from models.datasets.pairs import PairMaker, Schedule
from models.face import Box, Image
from models.mean_face import MEAN_LANDMARKS
from models.synthesis.kinds import TRAINED_KINDS, Forgery

PLAN = Schedule(difficulty=0.5, strength=0.7, size=64)


def records() -> list[FaceRecord]:
    """One face in six lights, as colour and as gray photographs."""
    crop = np.asarray(cv2.resize(np.ascontiguousarray(astronaut()[0:224, 110:334]), (160, 160)), np.uint8)
    made = []
    for number in range(6):
        lit = np.asarray(cv2.convertScaleAbs(crop, alpha=0.7 + number / 12), np.uint8)
        if number % 2:
            lit = np.repeat(lit.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
        made.append(
            FaceRecord(
                source="gray_photo" if number % 2 else "photo",
                group=str(number),
                box=Box(x0=30, y0=20, x1=130, y1=150),
                landmarks=(MEAN_LANDMARKS * 40 + np.array([80, 62])).astype(np.float32),
                image=lit,
            )
        )
    return made


def maker(*, seed: int = 0) -> PairMaker:
    return PairMaker(records(), TRAINED_KINDS, margin=1.3, seed=seed)


def sharpness(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.array([cv2.Laplacian(image.mean(axis=2), cv2.CV_64F).var() for image in images])


def test_a_clip_is_made_from_seed_and_number_alone() -> None:
    ours, labels, _ = maker().clip(3, PLAN)
    assert ours.shape == (2 * PAIRS_PER_CLIP, 64, 64, 3)
    assert labels.tolist() == [0, 1] * PAIRS_PER_CLIP
    assert (ours == maker().clip(3, PLAN)[0]).all()
    assert (ours != maker().clip(4, PLAN)[0]).any()
    assert (ours != maker(seed=1).clip(3, PLAN)[0]).any()


@pytest.mark.slow
def test_without_a_forgery_the_halves_cannot_be_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The degradation must not say which half is which: neither its noise nor the place in the codec."""

    def leave_alone(_: str, forgery: Forgery) -> Image:
        return forgery.target.image

    monkeypatch.setattr("models.datasets.pairs.make", leave_alone)
    pairs = maker()
    softer = sharper = 0
    for number in range(40):
        images = pairs.clip(number, PLAN).images
        genuine, fake = sharpness(images[0::2]), sharpness(images[1::2])
        softer, sharper = softer + int((fake < genuine).sum()), sharper + int((fake > genuine).sum())
    assert softer + sharper > 80  # the codec was at work, so there was something to tell apart by
    # Within three standard deviations of a fair coin.
    assert abs(softer - sharper) < 3 * np.sqrt(softer + sharper)


def test_a_forgery_is_in_every_pair() -> None:
    images = maker().clip(0, Schedule(difficulty=0.0, strength=0.0, size=64)).images
    changed = np.abs(images[0::2].astype(int) - images[1::2]).max(axis=(1, 2, 3))
    assert (changed > 3).all()
