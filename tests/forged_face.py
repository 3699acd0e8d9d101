"""A forgery of one photograph, for tests of the kinds of pseudo-fakes: `forgery(seed)`."""

import cv2
import numpy as np
from skimage.data import astronaut

from models.face import Image, Landmarks
from models.training.blending import MEAN_LANDMARKS
from models.training.forgery import Forgery, GenuineFace

CROP: Image = np.asarray(cv2.resize(np.ascontiguousarray(astronaut()[0:224, 110:334]), (160, 160)), np.uint8)
LANDMARKS: Landmarks = (MEAN_LANDMARKS * 40 + np.array([80, 62])).astype(np.float32)


def face(*, mirrored: bool = False, gray: bool = False) -> GenuineFace:
    """CROP as a face; `mirrored` stands for another person's."""
    image = np.ascontiguousarray(CROP[:, ::-1]) if mirrored else CROP
    if gray:
        image = np.repeat(image.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    return GenuineFace(image=image, landmarks=LANDMARKS, gray=gray)


def forgery(
    seed: int, *, difficulty: float = 0.3, gray: bool = False, other: GenuineFace | None = None
) -> Forgery:
    """What a kind may draw on; `other` in place of the mirrored face."""
    return Forgery(
        target=face(gray=gray),
        other=other or face(mirrored=True, gray=gray),
        difficulty=difficulty,
        rng=np.random.default_rng(seed),
    )
