"""The names that uploads are given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from review.uploads import checked_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("clip.mp4", "clip.mp4"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\clip.mp4", "clip.mp4"),
        ("Ünïcödé 😀.mp4", "Ünïcödé 😀.mp4"),
        ("a\r\nSet-Cookie: x.mp4", "aSet-Cookie: x.mp4"),
        ("..", "upload"),
        ("folder/", "upload"),
        ("", "upload"),
    ],
)
def test_a_name_is_the_last_part_of_the_path(name: str, expected: str) -> None:
    assert checked_name(name) == expected


@given(st.text(max_size=600))
def test_every_name_can_be_shown_and_stored(name: str) -> None:
    made = checked_name(name)
    assert 0 < len(made) <= 255
    assert made.isprintable()
    assert not {"/", "\\"} & set(made)
    assert made.strip(". ")
