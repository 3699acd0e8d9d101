"""Headers that ask for a range, and how the range is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from review.api import ranges
from review.api.ranges import Malformed, PastTheEnd, parse, pieces


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("bytes=0-", (0, 10)),
        ("bytes=0-0", (0, 1)),
        ("bytes=2-5", (2, 6)),
        ("bytes=2-99", (2, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-99", (0, 10)),
        ("Bytes = 2 - 5", (2, 6)),
        ("bytes=0-1,4-5", None),  # several: everything is an allowed answer
    ],
)
def test_the_range_that_is_asked_for(header: str, found: tuple[int, int] | None) -> None:
    assert parse(header, 10) == found


@pytest.mark.parametrize("header", ["", "bytes", "bytes=", "bytes=-", "lines=1-2", "bytes=5-2", "bytes=a-b"])
def test_what_is_no_range(header: str) -> None:
    with pytest.raises(Malformed):
        parse(header, 10)


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0)])
def test_what_is_past_the_end(header: str, size: int) -> None:
    with pytest.raises(PastTheEnd):
        parse(header, size)


@given(st.text() | st.from_regex(r"bytes=[0-9, -]*", fullmatch=True), st.integers(0, 10**15))
def test_a_range_is_never_outside(header: str, size: int) -> None:
    try:
        found = parse(header, size)
    except (Malformed, PastTheEnd):
        return
    assert found is None or 0 <= found[0] < found[1] <= size


@given(st.binary(max_size=50), st.data())
def test_pieces_are_the_range(content: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, len(content)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranges, "PIECE_BYTES", 7)
        read = list(pieces(lambda at, length: content[at : at + length], start, end))
    assert b"".join(read) == content[start:end]
    assert all(1 <= len(piece) <= 7 for piece in read)


def test_content_that_is_shorter_than_told_ends() -> None:
    assert list(pieces(lambda at, length: b"abc"[at : at + length], 0, 10)) == [b"abc"]
