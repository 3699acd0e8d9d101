"""The picture by which people know a video."""

from dataclasses import replace
from io import BytesIO

import numpy as np
from PIL import Image

from models.face import Box, Face
from worker.decoder.reader import Frame
from worker.screening.evidence import Candidate
from worker.screening.poster import LONGEST_SIDE, Poster
from worker.screening.quality import Quality, Rejection

FACE = Face(box=Box(x0=0, y0=0, x1=8, y1=8), landmarks=np.zeros((5, 2), np.float32), probability=0.99)


def frame(index: int, *, stream: int = 0, size: tuple[int, int] = (64, 48)) -> Frame:
    """As gray as its number times ten."""
    width, height = size
    image = np.full((height, width, 3), 10 * index, np.uint8)
    return Frame(index=index, time_seconds=index, keyframe=True, damaged=False, image=image, stream=stream)


def face(sharpness: float, rejection: Rejection | None = None) -> Candidate:
    quality = replace(QUALITY, sharpness=sharpness, rejection=rejection)
    return Candidate(frame=0, time=0.0, stream=0, frame_size=(64, 48), face=FACE, quality=quality, crop=None)


QUALITY = Quality(sharpness=0.0, yaw=0.0, roll=0.0, rejection=None)


def shown(poster: Poster) -> int:
    """The number of the frame that it shows."""
    assert poster.picture is not None
    with Image.open(BytesIO(poster.picture)) as picture:
        return round(np.asarray(picture).mean() / 10)


def test_it_shows_the_clearest_face_that_is_fit() -> None:
    poster = Poster(6)
    poster.look(frame(0), [])
    poster.look(frame(1), [face(900, Rejection.TURNED)])
    assert shown(poster) == 1
    poster.look(frame(2), [face(20)])
    poster.look(frame(3), [face(10), face(50)])
    poster.look(frame(4), [face(40)])
    poster.look(frame(5), [face(999, Rejection.SMALL)])
    assert shown(poster) == 3


def test_without_a_face_it_shows_the_middle() -> None:
    poster = Poster(9)
    for number in range(9):
        poster.look(frame(number), [])
    assert shown(poster) == 4


def test_of_several_streams_it_shows_what_players_show() -> None:
    poster = Poster(4)
    poster.look(frame(1), [])
    poster.look(frame(2, stream=1), [face(50)])
    assert shown(poster) == 1


def test_it_is_small_and_keeps_its_shape() -> None:
    for size, expected in (
        ((1920, 1080), (LONGEST_SIDE, 180)),
        ((30, 2000), (5, LONGEST_SIDE)),
        ((64, 48), (64, 48)),
    ):
        poster = Poster(1)
        poster.look(frame(0, size=size), [])
        with Image.open(BytesIO(poster.picture or b"")) as picture:
            assert (picture.format, picture.size) == ("JPEG", expected)


def test_no_frame_is_no_poster() -> None:
    assert Poster(1).picture is None
