"""The parts of a face lie where the face is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.explain.face_parts import BACKGROUND, PARTS, face_parts
from models.face import Landmarks
from models.mean_face import MEAN_LANDMARKS

SIZE = 160


def placed(*, scale: float = 40.0, at: tuple[float, float] = (80.0, 65.0), degrees: float = 0.0) -> Landmarks:
    """The mean face's landmarks in a crop."""
    angle = np.radians(degrees)
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (MEAN_LANDMARKS @ turned.T * scale + np.array(at)).astype(np.float32)


@pytest.mark.parametrize("degrees", [0, 9])
def test_each_landmark_lies_in_its_part(degrees: float) -> None:
    landmarks = placed(degrees=degrees)
    found = face_parts(SIZE, landmarks)
    assert found is not None
    numbers, parts = found
    assert sorted(np.unique(numbers)) == list(range(len(parts)))
    assert set(parts) == set(PARTS)
    at = [parts[numbers[round(y), round(x)]] for x, y in landmarks.tolist()]
    assert at == ["left eye", "right eye", "nose", "mouth", "mouth"]
    assert parts[numbers[2, 2]] == BACKGROUND


def test_a_turned_face_has_a_narrower_far_side() -> None:
    landmarks = placed()
    landmarks[2, 0] += 12  # the nose points to the picture's right
    found = face_parts(SIZE, landmarks)
    assert found is not None
    numbers, parts = found
    sizes = {part: int((numbers == number).sum()) for number, part in enumerate(parts)}
    assert sizes["right cheek"] < sizes["left cheek"]


def test_parts_outside_the_crop_are_left_out() -> None:
    found = face_parts(SIZE, placed(scale=90.0, at=(80.0, 40.0)))
    assert found is not None
    numbers, parts = found
    assert "chin" not in parts
    assert "nose" in parts
    assert int(numbers.max()) == len(parts) - 1


@pytest.mark.parametrize(
    "landmarks", [np.zeros((5, 2)), np.full((5, 2), np.nan), np.arange(10).reshape(5, 2)]
)
def test_what_is_no_face_has_no_parts(landmarks: Landmarks) -> None:
    assert face_parts(SIZE, landmarks.astype(np.float32)) is None


@given(arrays(np.float32, (5, 2), elements=st.floats(-1e4, 1e4, width=32)))
def test_any_landmarks_give_parts_that_can_be_numbered_or_none(landmarks: Landmarks) -> None:
    found = face_parts(32, landmarks)
    if found is not None:
        numbers, parts = found
        assert sorted(np.unique(numbers)) == list(range(len(parts)))
