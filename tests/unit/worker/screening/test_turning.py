"""Which way up a film's faces are, with a detector that sees only faces that stand."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.settings import DetectionSettings
from models.face import Box, Face, Image
from worker.screening.turning import Turner, as_played

WIDTH, HEIGHT = 64, 48
EYES, CHIN = (255, 0, 0), (0, 0, 255)


def upright() -> Image:
    """A "face" of two dots: red eyes at (40, 10), a blue chin straight below them at (40, 22)."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[10, 40], image[22, 40] = EYES, CHIN
    return image


def lying(turn: int) -> Image:
    """The picture as a player shows it that must be turned clockwise by `turn`."""
    return np.ascontiguousarray(np.rot90(upright(), turn // 90))


def nobody() -> Image:
    return np.zeros((HEIGHT, WIDTH, 3), np.uint8)


class Standing:
    """Is sure of a face whose chin is below its eyes; `seeming`: how probable one upside down seems to it."""

    def __init__(self, seeming: float = 0.0) -> None:
        self.seeming, self.looks = seeming, 0

    def detect(self, images: Sequence[Image]) -> list[list[Face]]:
        self.looks += len(images)
        return [self._faces(image) for image in images]

    def _faces(self, image: Image) -> list[Face]:
        eyes, chin = (np.argwhere((image == colour).all(axis=2)) for colour in (EYES, CHIN))
        if not len(eyes):
            return []
        (row, column), (below, beside) = eyes[0], chin[0]
        if column == beside and below > row:
            return [face(float(column), float(row), probability=0.9999)]
        return [face(float(beside), float(below), probability=self.seeming)] if self.seeming else []


def face(x: float, y: float, *, probability: float) -> Face:
    """A face that stands, its eyes around (x, y)."""
    marks = [(x - 3, y), (x + 3, y), (x, y + 5), (x - 2, y + 9), (x + 2, y + 9)]
    box = Box(x0=x - 6, y0=y - 5, x1=x + 6, y1=y + 13)
    return Face(box=box, landmarks=np.array(marks, np.float32), probability=probability)


def turner(detector: Standing) -> Turner:
    return Turner(detector, DetectionSettings())  # type: ignore[arg-type]


@pytest.mark.parametrize("turn", [90, 180, 270])
@pytest.mark.parametrize("seeming", [0.0, 0.96])
def test_a_film_that_lies_is_turned_and_its_boxes_lie_on_the_picture_as_it_is(
    turn: int, seeming: float
) -> None:
    detector = Standing(seeming)
    found = turner(detector).find([lying(turn)] * 4)
    assert [[(one.turn, one.probability) for one in faces] for faces in found] == [[(turn, 0.9999)]] * 4
    row, column = np.argwhere((lying(turn) == EYES).all(axis=2))[0]
    for faces in found:
        assert abs(faces[0].roll) < 1e-3
        middle = faces[0].landmarks[:2].mean(axis=0)
        assert np.abs(middle - (column, row)).max() <= 1
        x, y = faces[0].box.centre
        assert np.hypot(x - column, y - row) < 6
    assert detector.looks == 4 + 3 + 3  # upright, one frame in the other turns, the others once more


def test_a_film_on_its_head_whose_faces_seem_to_stand_is_found_by_the_one_glance() -> None:
    found = turner(Standing(seeming=0.995)).find([lying(180)] * 4)
    assert [faces[0].turn for faces in found] == [180] * 4


def test_an_upright_film_costs_one_glance() -> None:
    detector = Standing()
    finder = turner(detector)
    for _ in range(8):
        assert [faces[0].turn for faces in finder.find([upright()] * 8)] == [0] * 8
    assert detector.looks == 64 + 1


def test_a_film_without_faces_costs_a_few_looks() -> None:
    detector = Standing()
    finder = turner(detector)
    for _ in range(8):
        assert finder.find([nobody()] * 8) == [[]] * 8
    assert detector.looks == 64 + 3 * 3


def test_a_title_before_the_film_and_a_turn_in_the_middle_lose_nothing() -> None:
    finder = turner(Standing())
    film = [nobody()] * 4 + [lying(90)] * 4
    turns = [[one.turn for one in faces] for faces in finder.find(film)]
    assert turns == [[]] * 4 + [[90]] * 4
    found = finder.find([lying(90), lying(90), upright(), upright(), lying(270), lying(270)])
    assert [[one.turn for one in faces] for faces in found] == [[90], [90], [0], [0], [270], [270]]


@given(st.sampled_from([90, 180, 270]), st.integers(1, 40), st.integers(1, 40), st.data())
def test_what_lies_on_a_turned_frame_comes_back_to_where_it_was(
    turn: int, width: int, height: int, data: st.DataObject
) -> None:
    row, column = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    image = np.zeros((height, width), np.uint8)
    image[row, column] = 1
    there = np.argwhere(np.rot90(image, -turn // 90))[0]
    y, x = (float(value) + 0.5 for value in there)  # the middle of the pixel
    one = Face(
        box=Box(x0=x - 0.5, y0=y - 0.5, x1=x + 0.5, y1=y + 0.5),
        landmarks=np.full((5, 2), (x, y), np.float32),
        probability=1.0,
    )
    back = as_played(one, turn, width, height)
    assert back.box == Box(x0=column, y0=row, x1=column + 1, y1=row + 1)
    assert np.allclose(back.landmarks, (column + 0.5, row + 0.5))
