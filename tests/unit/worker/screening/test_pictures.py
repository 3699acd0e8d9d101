"""Whole frames are kept as they were decoded as long as there is room, and always shown as JPEG."""

import cv2
import numpy as np
import pytest

from models.face import Image
from worker.screening import pictures
from worker.screening.pictures import Pictures


def frame(number: int) -> Image:
    return np.full((60, 80, 3), 20 * number, np.uint8)


def gray(coded: bytes) -> float:
    shown = cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown.shape == (60, 80, 3)
    return float(shown.mean())


@pytest.fixture
def coded(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The gray values of all frames that were made a JPEG."""
    made: list[float] = []
    jpeg = pictures.jpeg

    def noting(image: Image) -> bytes:
        made.append(float(image.mean()))
        return jpeg(image)

    monkeypatch.setattr(pictures, "jpeg", noting)
    return made


def test_only_what_is_shown_becomes_a_jpeg_while_there_is_room(coded: list[float]) -> None:
    held = Pictures()
    for number in range(10):
        held.add(number, frame(number))
        held.keep(range(number + 1))
    assert coded == []
    assert gray(held.jpeg(7)) == pytest.approx(140, abs=2)
    assert coded == [140]


def test_the_oldest_become_jpegs_where_there_is_no_room(
    coded: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MOST_BYTES", 3 * frame(0).nbytes)
    held = Pictures()
    for number in range(5):
        held.add(number, frame(number))
    held.keep(range(5))
    assert coded == [0, 20]
    assert [gray(held.jpeg(number)) for number in range(5)] == pytest.approx([0, 20, 40, 60, 80], abs=2)
    assert coded == [0, 20, 40, 60, 80]  # a JPEG that is there is not made again


def test_what_is_not_kept_is_gone_and_makes_room(coded: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MOST_BYTES", 2 * frame(0).nbytes)
    held = Pictures()
    for number in range(5):
        held.add(number, frame(number))
        held.keep([0, number])
    assert coded == []
    with pytest.raises(KeyError):
        held.jpeg(3)
