"""The faces are those of the package's own code, whichever library runs the networks."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import torch
from facenet_pytorch import MTCNN
from skimage.data import astronaut

from models.face import Image
from models.mtcnn.cascade import Found, find
from models.mtcnn.networks import Networks, TorchNetworks
from models.mtcnn.openvino_networks import OpenVINONetworks

SMALLEST = 20


@pytest.fixture(scope="module", params=[TorchNetworks, OpenVINONetworks])
def networks(request: pytest.FixtureRequest) -> Networks:
    made: Networks = request.param()
    return made


@pytest.fixture(scope="module")
def portrait() -> Image:
    return np.asarray(astronaut(), np.uint8)


def packages_own(pictures: list[Image]) -> Iterator[Found]:
    package = MTCNN(keep_all=True, min_face_size=SMALLEST, post_process=False)
    with torch.inference_mode():
        found = package.detect(np.stack(pictures), landmarks=True)
    for boxes, faces, landmarks in zip(*found, strict=True):
        yield Found(
            boxes=np.array([] if boxes is None else boxes, np.float32).reshape(-1, 4),
            faces=np.array([] if boxes is None else faces, np.float32),
            landmarks=np.array([] if boxes is None else landmarks, np.float32).reshape(-1, 5, 2),
        )


def found(pictures: list[Image], networks: Networks) -> list[Found]:
    return find(iter(pictures), pictures[0].shape[:2], SMALLEST, networks)


def scene(portrait: Image, height: int, width: int) -> list[Image]:
    """Nobody; one large face; many small ones, some cut off by the frame's edge."""
    large = cv2.resize(portrait[20:320, 80:380], (width, height))
    tile = cv2.resize(portrait[40:220, 140:320], (70, 70))
    many = np.tile(tile, (height // 70 + 1, width // 70 + 1, 1))[7 : height + 7, 9 : width + 9]
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3))
    return [np.asarray(picture, np.uint8) for picture in (np.full_like(large, 90), large, many, noise)]


# Sides of even and odd levels, upright and lying; the last one is wider than a strip.
@pytest.mark.parametrize(("height", "width"), [(120, 213), (213, 120), (131, 131), (60, 520)])
def test_the_faces_are_the_packages(networks: Networks, portrait: Image, height: int, width: int) -> None:
    pictures = scene(portrait, height, width)
    faces = 0
    for ours, theirs in zip(found(pictures, networks), packages_own(pictures), strict=True):
        assert len(ours.boxes) == len(theirs.boxes)
        np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=0.01)
        np.testing.assert_allclose(ours.faces, theirs.faces, atol=1e-4)
        np.testing.assert_allclose(ours.landmarks, theirs.landmarks, atol=0.01)
        faces += len(ours.boxes)
    assert faces >= 3


def test_pictures_do_not_see_each_other(networks: Networks, portrait: Image) -> None:
    pictures = scene(portrait, 120, 213)
    for alone, together in zip(pictures, found(pictures, networks), strict=True):
        (single,) = found([alone], networks)
        np.testing.assert_allclose(single.boxes, together.boxes, atol=0.01)


def test_no_picture_no_faces(networks: Networks) -> None:
    assert find(iter(()), (100, 100), SMALLEST, networks) == []


def test_half_precision_finds_the_same_people(portrait: Image) -> None:
    """What CUDA runs; the CPU computes it as well, slowly."""
    pictures = scene(portrait, 120, 213)[1:2]
    (exact,) = found(pictures, TorchNetworks())
    (half,) = found(pictures, TorchNetworks(precision="fp16"))
    np.testing.assert_allclose(half.boxes, exact.boxes, atol=2)
