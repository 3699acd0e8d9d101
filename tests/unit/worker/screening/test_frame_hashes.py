"""Hashes of frames: those that the reference implementation gives, and which of a video are kept."""

import io

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow
from skimage import data

from core.known import distance
from core.settings import KnownSettings
from worker.screening.frame_hashes import FrameHashes, hash_frame

# What pdqhash 0.2.8 gave for these photographs at 512 x 512, and for their mirror images.
REFERENCE = {
    "astronaut": (
        "2d6b1af3a956c529e79ca3d2526fa834d4196c81cedd04de0a26b855fc99b724",
        "383a4fa6f903127c32c9f687073afd43814c39d493a8518b7f73ed0ca9cce271",
    ),
    "chelsea": (
        "5fab5331f01da156898e2b7629a5d3438412cdbd23f48942464526317db33ffd",
        "4afe2674a549f40b9ddb7e2378f087165147b8e876a1dc171310776c28e67aa8",
    ),
    "coffee": (
        "88629e779a663698f9a338668027727c21a679f61eb6e1f8c79b27e27c0299e0",
        "8936cb22cb336389acf64d339462273974f22ca34ae3a4ad92ccf2a369d7c8b5",
    ),
}


def blobs(seed: int) -> NDArray[np.uint8]:
    """A smooth picture like no other."""
    small = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return np.asarray(Pillow.fromarray(small).resize((256, 192), Pillow.Resampling.BICUBIC))


@pytest.mark.parametrize("name", REFERENCE)
def test_the_hash_is_the_reference_implementations(name: str) -> None:
    found = hash_frame(getattr(data, name)(), 0.0)
    plain, mirrored = (bytes.fromhex(each) for each in REFERENCE[name])
    # Another release of OpenCV may round a pixel differently when it scales.
    assert distance(found.pdq, plain) <= 2
    assert distance(found.mirrored, mirrored) <= 2
    assert found.quality == 100


def test_a_coded_and_shrunken_picture_keeps_its_hash_and_another_has_another() -> None:
    picture = data.astronaut()
    coded = io.BytesIO()
    Pillow.fromarray(picture).resize((200, 200)).save(coded, "JPEG", quality=30)
    worn = np.asarray(Pillow.open(coded))
    whole = hash_frame(picture, 0.0)
    assert distance(whole.pdq, hash_frame(worn, 0.0).pdq) < 31
    assert distance(whole.mirrored, hash_frame(worn[:, ::-1].copy(), 0.0).pdq) < 31
    assert distance(whole.pdq, hash_frame(data.coffee(), 0.0).pdq) > 80


@pytest.mark.parametrize(
    ("size", "bits"),
    [((1920, 1080), 2), ((1080, 1920), 2), ((1280, 720), 2), ((3840, 2160), 2), ((1921, 1081), 6)],
)
def test_a_large_picture_has_the_hash_of_its_small_copy(size: tuple[int, int], bits: int) -> None:
    """Scaled in two steps or in one: hardly a bit of 256 differs."""
    large = cv2.resize(data.astronaut(), size, interpolation=cv2.INTER_CUBIC)
    once = cv2.resize(large, (512, 512), interpolation=cv2.INTER_AREA)
    found, expected = hash_frame(large, 0.0), hash_frame(once, 0.0)
    assert distance(found.pdq, expected.pdq) <= bits
    assert distance(found.mirrored, expected.mirrored) <= bits


def test_flat_frames_and_repetitions_are_left_out() -> None:
    hashes = FrameHashes(KnownSettings())
    hashes.add(np.zeros((120, 160, 3), np.uint8), 0.0)
    hashes.add(np.full((120, 160, 3), 200, np.uint8), 0.5)
    assert hashes.kept == ()
    for moment in (1.0, 1.5, 2.0):
        hashes.add(data.astronaut(), moment)
    hashes.add(data.coffee(), 2.5)
    assert [each.time_seconds for each in hashes.kept] == [1.0, 2.5]


def test_however_many_scenes_only_so_many_hashes_are_kept() -> None:
    hashes = FrameHashes(KnownSettings(max_frames=8, min_quality=0))
    for number in range(40):
        hashes.add(blobs(number), float(number))
    assert 1 <= len(hashes.kept) <= 8


def test_nothing_is_hashed_where_it_is_switched_off() -> None:
    hashes = FrameHashes(KnownSettings(enabled=False))
    hashes.add(data.astronaut(), 0.0)
    assert hashes.kept == ()
