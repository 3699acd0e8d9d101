"""RTMP against FFmpeg's own server, and its parts against bytes that make no sense."""

import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import FetchFailed, UnsafeAddress
from core.settings import Settings, StreamSettings
from tests.media import Media, number_in
from tests.ports import free_port
from tests.rtmp import deserted_server, rtmp_server
from worker.decoder.reader import VideoReader
from worker.streams import amf
from worker.streams.flv import Cutter, Tag
from worker.streams.rtmp import RtmpSource
from worker.streams.rtmp_chunks import MOST_STREAMS, ChunkReader, Message, chunked
from worker.streams.source import Gap, Piece, Segment

RATE = 10


def never(seconds: float) -> bool:
    """Whether to stop."""
    return seconds < 0


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Six seconds, a keyframe every second."""
    return Media(tmp_path).video("clip.mp4", frames=6 * RATE, rate=RATE, options={"g": str(RATE)})


def source(url: str, port: int, **clock: Callable[[], float]) -> RtmpSource:
    limits = StreamSettings(private_networks="127.0.0.0/8", ports=str(port), silence_seconds=20)
    return RtmpSource(limits.guard.target(url), limits, wait=never, **clock)


def numbers(piece: Piece, settings: Settings) -> list[int]:
    """Of the frames that its decoder gives."""
    assert isinstance(piece, Segment)
    with (
        piece.file,
        VideoReader(Path("x"), settings.decode, settings.sampling, opened=piece.file.fileno()) as reader,
    ):
        return [number_in(frame.image) for frame in reader]


def test_a_stream_is_cut_at_its_keyframes_into_what_the_decoder_reads(clip: Path, settings: Settings) -> None:
    with rtmp_server(clip) as (url, port):
        pieces = list(source(url, port).pieces())
    assert [(piece.start_seconds, round(piece.duration_seconds, 1)) for piece in pieces] == [
        (0.0, 2.0),
        (2.0, 2.0),
        (4.0, 1.9),
    ]
    for place, piece in enumerate(pieces):
        found = numbers(piece, settings)
        assert len(found) == 8
        assert all(20 * place <= number < 20 * (place + 1) for number in found)


def test_after_an_outage_it_goes_on_behind_a_gap(clip: Path) -> None:
    times = iter(range(0, 1000, 10))
    with rtmp_server(clip) as (url, port):
        stream = source(url, port, clock=lambda: float(next(times)))
        first = list(stream.pieces())
    with rtmp_server(clip, port=port):
        again = list(stream.pieces())
    assert isinstance(again[0], Gap)
    assert (round(again[0].start_seconds, 1), again[0].duration_seconds) == (5.9, 10.0)
    assert round(again[1].start_seconds, 1) == 15.9
    for piece in (*first, *again):
        if isinstance(piece, Segment):
            piece.file.close()


def test_while_the_server_has_no_stream_the_outage_goes_on_and_counts_once(clip: Path) -> None:
    now = 0.0
    with rtmp_server(clip) as (url, port):
        stream = source(url, port, clock=lambda: now)
        pieces = list(stream.pieces())
    told = len(pieces)
    with deserted_server(port, players=3):
        for _ in range(3):
            now += 30.0
            with pytest.raises(FetchFailed):
                pieces.extend(stream.pieces())
    now += 30.0
    with rtmp_server(clip, port=port):
        pieces.extend(stream.pieces())
    gap, after, *_ = pieces[told:]
    assert isinstance(gap, Gap)
    assert (round(gap.start_seconds, 1), gap.duration_seconds) == (5.9, 120.0)
    assert (type(after), round(after.start_seconds, 1)) == (Segment, 125.9)
    assert [type(piece) for piece in pieces].count(Gap) == 1
    for piece in pieces:
        if isinstance(piece, Segment):
            piece.file.close()


def test_what_is_not_there_or_not_allowed_is_said() -> None:
    port = free_port()
    with pytest.raises(FetchFailed, match="refused"):
        list(source(f"rtmp://127.0.0.1:{port}/live/x", port).pieces())
    limits = StreamSettings(ports=str(port))
    target = limits.guard.target(f"rtmp://127.0.0.1:{port}/live/x")
    with pytest.raises(UnsafeAddress, match="not public"):
        list(RtmpSource(target, limits, wait=never).pieces())


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.dictionaries(st.text(min_size=1, max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(VALUES, max_size=4))
def test_commands_are_read_as_they_were_written(values: list[object]) -> None:
    assert amf.decode(amf.encode(*values)) == values


@given(st.binary(max_size=60))
def test_no_bytes_lead_to_another_error_than_value_errors(content: bytes) -> None:
    with suppress(ValueError):
        amf.decode(content)
    reader = ChunkReader(taking(content))
    with suppress(ValueError):
        while True:
            reader.message()


def taking(content: bytes) -> Callable[[int], bytes]:
    left = bytearray(content)

    def take(count: int) -> bytes:
        if count > len(left):
            raise ValueError("it ends")
        taken = bytes(left[:count])
        del left[:count]
        return taken

    return take


@given(st.lists(st.binary(max_size=400), max_size=4), st.integers(1, 200))
def test_messages_come_out_of_their_chunks(bodies: list[bytes], chunk_bytes: int) -> None:
    sent = [Message(kind=9, time=40 * place, stream=1, body=body) for place, body in enumerate(bodies)]
    content = b"".join(
        chunked(each, number=3 + at % 2, chunk_bytes=chunk_bytes) for at, each in enumerate(sent)
    )
    reader = ChunkReader(taking(content))
    reader.chunk_bytes = chunk_bytes
    assert [reader.message() for _ in sent] == sent


def test_headers_may_leave_out_what_stays_the_same() -> None:
    first = bytes([4]) + (1000).to_bytes(3, "big") + (2).to_bytes(3, "big") + b"\x09" + struct.pack("<I", 1)
    content = first + b"ab" + bytes([0x44]) + (40).to_bytes(3, "big") + (1).to_bytes(3, "big") + b"\x09c"
    content += bytes([0x84]) + (50).to_bytes(3, "big") + b"d" + bytes([0xC4]) + b"e"
    content += bytes([4]) + b"\xff\xff\xff" + (1).to_bytes(3, "big") + b"\x09" + struct.pack("<I", 1)
    content += (2**25).to_bytes(4, "big") + b"f"
    reader = ChunkReader(taking(content))
    found = [reader.message() for _ in range(5)]
    assert [(each.time, each.body) for each in found] == [
        (1000, b"ab"),
        (1040, b"c"),
        (1090, b"d"),
        (1140, b"e"),
        (2**25, b"f"),
    ]


def test_a_server_cannot_make_us_keep_much() -> None:
    header = b"\0\0\0\xff\xff\xff\x09\0\0\0\0"  # each message has 16 MiB, none is ever whole
    begun = b"".join(bytes([number]) + header + bytes(128) for number in range(3, 64))
    more = b"".join(bytes([0, number]) + header + bytes(128) for number in range(MOST_STREAMS))
    with pytest.raises(ValueError, match="too many chunk streams"):
        ChunkReader(taking(begun + more)).message()
    reader = ChunkReader(lambda count: bytes([3]) + bytes(count - 1))
    reader.chunk_bytes = 16 * 1024**2
    three = taking(b"".join(bytes([number]) + header + bytes(2**24 - 2) for number in (3, 4, 5)))
    reader = ChunkReader(three)
    reader.chunk_bytes = 2**24 - 2
    with pytest.raises(ValueError, match="too much is sent at once"):
        reader.message()


def test_a_clock_that_is_set_anew_does_not_stretch_a_segment(tmp_path: Path) -> None:
    cutter = Cutter(lambda: (tmp_path / "x").open("wb+"), longest_seconds=60, most_bytes=1000)
    key, other = b"\x17\x01\0\0\0k", b"\x27\x01\0\0\0o"
    assert cutter.add(Tag(time=0, body=b"\x17\0\0\0\0header"), 0.0) is None
    assert cutter.add(Tag(time=0, body=other), 0.0) is None  # nothing can be decoded before a keyframe
    for time in range(1000, 2000, 100):
        assert cutter.add(Tag(time=time, body=key if time == 1000 else other), 0.0) is None
    whole = cutter.add(Tag(time=900_000_000, body=key), 0.0)
    assert whole is not None
    assert whole.duration_seconds == pytest.approx(0.94)
    whole.file.close()
    with pytest.raises(ValueError, match="larger than 1000 bytes"):
        cutter.add(Tag(time=900_000_100, body=other + bytes(1000)), 1.0)
    cutter.close()
