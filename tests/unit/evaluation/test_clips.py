"""Clips: forgeries that hold still over time."""

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from evaluation.clips import ClipSource, forge
from models.datasets.faces import FaceRecord
from models.datasets.media import GENUINE
from models.face import Box, Face, Image
from models.mean_face import MEAN_LANDMARKS

CROP: Image = np.asarray(cv2.resize(np.ascontiguousarray(astronaut()[0:224, 110:334]), (160, 160)), np.uint8)
FACE = Face(
    box=Box(x0=30, y0=20, x1=130, y1=150),
    landmarks=(MEAN_LANDMARKS * 40 + np.array([80, 62])).astype(np.float32),
    probability=1.0,
)
OTHERS = [
    FaceRecord(
        source="photo",
        group="other",
        box=FACE.box,
        landmarks=FACE.landmarks,
        image=np.ascontiguousarray(255 - CROP),
    )
]


def source(faces: list[Face | None]) -> ClipSource:
    return ClipSource(name="test", frames=[CROP.copy() for _ in faces], faces=faces)


def test_a_genuine_clip_is_left_alone() -> None:
    frames = list(forge(source([FACE, FACE]), GENUINE, OTHERS, seed=1))
    assert all((frame == CROP).all() for frame in frames)


@pytest.mark.parametrize("kind", ["swap", "self_blend", "poisson"])
def test_a_forgery_is_the_same_in_every_frame_and_leaves_the_source_alone(kind: str) -> None:
    clip = source([FACE, FACE, FACE])
    frames = list(forge(clip, kind, OTHERS, seed=1))
    assert (frames[0] != CROP).any()
    assert all((frame == frames[0]).all() for frame in frames)
    assert all((frame == CROP).all() for frame in clip.frames)
    assert (next(forge(clip, kind, OTHERS, seed=2)) != frames[0]).any()


def test_a_frame_without_a_face_stays_genuine() -> None:
    frames = list(forge(source([None, FACE]), "swap", OTHERS, seed=1))
    assert (frames[0] == CROP).all()
    assert (frames[1] != CROP).any()
