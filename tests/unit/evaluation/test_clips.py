"""Clips: real H.264, and forgeries that hold still over time."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from evaluation.camera import encode
from evaluation.clips import RATE, ClipSource, forge
from models.datasets.faces import FaceRecord, video_frames
from models.datasets.media import GENUINE
from models.face import Box, Face, Image
from models.synthesis.mean_face import MEAN_LANDMARKS

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


def test_what_is_written_is_video_of_every_frame(tmp_path: Path) -> None:
    odd = [np.ascontiguousarray(CROP[:151, :153]) for _ in range(5)]
    encode(tmp_path / "clip.mp4", iter(odd), rate=RATE)
    frames = list(video_frames(tmp_path / "clip.mp4", 5))
    assert [frame.shape for frame in frames] == [(150, 152, 3)] * 5
    assert np.abs(frames[2].astype(int) - odd[2][:150, :152]).mean() < 6


def test_a_higher_crf_keeps_less(tmp_path: Path) -> None:
    for crf in (23, 32):
        encode(tmp_path / f"{crf}.mp4", iter([CROP] * 4), rate=RATE, crf=crf)
    assert (tmp_path / "32.mp4").stat().st_size < (tmp_path / "23.mp4").stat().st_size
