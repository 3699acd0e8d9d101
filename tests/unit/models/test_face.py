import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.face import Box

COORDINATE = st.floats(-1e5, 1e5)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    x0, y0 = draw(COORDINATE), draw(COORDINATE)
    width, height = draw(st.floats(0.5, 1e4)), draw(st.floats(0.5, 1e4))
    return Box(x0=x0, y0=y0, x1=x0 + width, y1=y0 + height)


@given(boxes(), boxes())
def test_iou_is_symmetric_and_bounded(one: Box, other: Box) -> None:
    assert 0 <= one.iou(other) <= 1 + 1e-9
    assert math.isclose(one.iou(other), other.iou(one), abs_tol=1e-12)


@given(boxes())
def test_iou_with_itself_is_one(box: Box) -> None:
    assert math.isclose(box.iou(box), 1.0)


def test_iou_of_known_boxes() -> None:
    box = Box(x0=0, y0=0, x1=10, y1=10)
    assert box.iou(Box(x0=5, y0=0, x1=15, y1=10)) == pytest.approx(1 / 3)
    assert box.iou(Box(x0=10, y0=0, x1=20, y1=10)) == 0
    assert box.centre == (5, 5)
