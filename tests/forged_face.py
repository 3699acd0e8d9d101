"""A forgery of one photograph, for tests of the kinds of pseudo-fakes: `forgery(seed)`."""

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from models.face import Image, Landmarks
from models.mean_face import MEAN_LANDMARKS
from models.synthesis.blending import Mask, blend
from models.synthesis.forgery import Forgery, GenuineFace

PHOTOGRAPH: Image = np.ascontiguousarray(astronaut()[0:224, 110:334])
CROP: Image = np.asarray(cv2.resize(PHOTOGRAPH, (160, 160)), np.uint8)
ODD_CROP: Image = np.asarray(cv2.resize(PHOTOGRAPH, (161, 158)), np.uint8)  # no patch size divides its sides
LANDMARKS: Landmarks = (MEAN_LANDMARKS * 40 + np.array([80, 62])).astype(np.float32)


def _face(image: Image, *, gray: bool) -> GenuineFace:
    if gray:
        image = np.repeat(image.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    return GenuineFace(image=image, landmarks=LANDMARKS, gray=gray)


def forgery(
    seed: int,
    *,
    difficulty: float = 0.3,
    gray: bool = False,
    image: Image = CROP,
    other: GenuineFace | None = None,
) -> Forgery:
    """What a kind may draw on: the face in `image`, and `other`, or else the mirrored face for another's."""
    return Forgery(
        target=_face(image, gray=gray),
        other=other or _face(np.ascontiguousarray(image[:, ::-1]), gray=gray),
        difficulty=difficulty,
        rng=np.random.default_rng(seed),
    )


def masks_of(module: str, monkeypatch: pytest.MonkeyPatch) -> list[Mask]:
    """The masks under which `module` blends from now on."""
    masks: list[Mask] = []

    def remembered(target: Image, source: Image, mask: Mask) -> Image:
        masks.append(mask)
        return blend(target, source, mask)

    monkeypatch.setattr(f"{module}.blend", remembered)
    return masks
