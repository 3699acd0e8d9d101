"""Genuine faces: whole videos on one side, landmarks that follow their face."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.datasets.faces import FaceRecord, Source, canvas, split
from models.face import Box, Image

SPOTS = np.array([[80, 90], [120, 90], [100, 112], [84, 136], [116, 136]], np.float32)


def record(source: Source = "photo", group: str = "a", *, box: Box | None = None) -> FaceRecord:
    """A dark picture with five bright spots of different brightness where the landmarks are."""
    image: Image = np.zeros((200, 200, 3), np.uint8)
    for number, (x, y) in enumerate(SPOTS.astype(int)):
        image[y - 4 : y + 5, x - 4 : x + 5] = 110 + 30 * number
    return FaceRecord(
        source=source,
        group=group,
        box=box or Box(x0=60, y0=60, x1=140, y1=160),
        landmarks=SPOTS.copy(),
        image=image,
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(96, 220), st.floats(1.1, 1.7))
def test_landmarks_follow_the_face_onto_its_canvas(seed: int, size: int, margin: float) -> None:
    face = canvas(record(), size, margin=margin, rng=np.random.default_rng(seed))
    assert face.image.shape == (size, size, 3)
    x, y = np.round(face.landmarks).astype(int).T
    levels = face.image[y, x, 0].astype(int)
    wanted = np.array([110, 140, 170, 200, 230])
    if face.landmarks[0, 0] < face.landmarks[1, 0] and levels[0] > levels[1]:
        # Mirrored: the left eye in the picture is the spot that was right before.
        wanted = wanted[[1, 0, 2, 4, 3]]
    assert np.abs(levels - wanted).max() <= 12
    assert face.landmarks[0, 0] < face.landmarks[1, 0]
    assert face.landmarks[3, 0] < face.landmarks[4, 0]


def test_a_face_that_fills_its_picture_gets_no_repeated_edge() -> None:
    ramp = np.repeat(np.arange(200, dtype=np.uint8)[None, :, None], 200, axis=0).repeat(3, axis=2)
    filling = FaceRecord(
        source="gray_photo",
        group="a",
        box=Box(x0=-20, y0=-10, x1=215, y1=230),
        landmarks=SPOTS,
        image=np.ascontiguousarray(ramp),
    )
    for seed in range(6):
        face = canvas(filling, 200, margin=1.3, rng=np.random.default_rng(seed))
        assert face.gray
        steps = np.diff(face.image[100, :, 0].astype(int))
        assert set(np.abs(steps)) == {1}  # a repeated edge would be a run of zeros


@pytest.mark.parametrize("count", [3, 12])
def test_whole_videos_are_held_out(count: int) -> None:
    records = [record("video", f"v{number % count:02}") for number in range(3 * count)]
    held = {each.group for each in split(records, "held_out")}
    trained = {each.group for each in split(records, "train")}
    assert len(held) == count // 3
    assert not held & trained
    assert len(held | trained) == count
