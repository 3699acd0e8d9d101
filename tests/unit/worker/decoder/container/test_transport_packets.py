"""Where the packets of a transport stream stop following each other."""

import io
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.decoder.container import transport_packets
from worker.decoder.container.transport_packets import SIZES, find_holes


def stream(packets: int, size: int = 188) -> bytes:
    """Packets whose content never looks like the beginning of one."""
    lead = b"\0" * (size - 188) if size == 192 else b""
    tail = b"\0" * (size - 188) if size == 204 else b""
    return b"".join(lead + b"\x47" + bytes([number % 64]) * 187 + tail for number in range(packets))


@pytest.fixture(params=[1024 * 1024, 4096], ids=["in one piece", "in many pieces"])
def pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_packets, "PIECE", request.param)


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("size", SIZES)
def test_a_whole_stream_has_none(size: int) -> None:
    content = stream(100, size)
    file = io.BytesIO(content)
    file.seek(7)
    assert find_holes(file) == []
    assert file.tell() == 7
    assert find_holes(io.BytesIO(b"\0" * 3000 + content)) == [], "what comes before is no hole"
    assert find_holes(io.BytesIO(content[:-50])) == [], "it may break off"
    assert find_holes(io.BytesIO(b"")) == find_holes(io.BytesIO(b"\0" * 10_000)) == []


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("what", ["zeroed", "overwritten", "taken out"])
def test_a_hole_in_the_middle(size: int, what: str) -> None:
    content = bytearray(stream(100, size))
    first, last = 40 * size + 30, 60 * size + 100
    if what == "taken out":
        del content[first:last]
    else:
        content[first:last] = bytes(last - first) if what == "zeroed" else Random(1).randbytes(last - first)
    (hole,) = find_holes(io.BytesIO(bytes(content)))
    assert first - size < hole <= first + size


@pytest.mark.usefixtures("pieces")
def test_each_hole_is_found_and_no_more_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"".join(stream(20) + b"\0" * 100 for _ in range(30))
    every = 20 * 188 + 100
    ends = [number * every + 20 * 188 for number in range(30)]
    assert find_holes(io.BytesIO(content)) == ends
    monkeypatch.setattr(transport_packets, "MOST_HOLES", 8)
    assert find_holes(io.BytesIO(content)) == ends[:8]


@given(st.binary(max_size=4000), st.integers(0, 30), st.binary(max_size=2000))
def test_whatever_the_bytes_are_they_are_places_in_the_file(before: bytes, count: int, after: bytes) -> None:
    content = before + stream(count) + after
    holes = find_holes(io.BytesIO(content))
    assert holes == sorted(set(holes))
    assert all(0 <= hole <= len(content) for hole in holes)
