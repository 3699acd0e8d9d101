from collections.abc import Iterator

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.media import Media
from worker.decoder.container.nal_units import HIDDEN, WHOLE, Picture, PictureReader

AVCC = bytes([1, 100, 0, 31, 0xFF, 0xE1, 0])  # lengths of four bytes


def unit(*content: int) -> bytes:
    return len(content).to_bytes(4, "big") + bytes(content)


def test_h264_after_parameter_sets_the_slice_decides() -> None:
    reader = PictureReader("h264", AVCC)
    message, reference, other = unit(0x06, 5), unit(0x41, 0x9A), unit(0x01, 0x9E)
    assert reader.read(memoryview(message + reference)) == Picture(disposable=False)
    assert reader.read(memoryview(message + other)) == Picture(disposable=True)


def test_h264_with_start_codes() -> None:
    reader = PictureReader("h264", b"\0\0\0\1\x67")
    assert reader.read(memoryview(b"\0\0\0\1\x09\xf0\0\0\1\x01\x9e")).disposable
    assert not reader.read(memoryview(b"\0\0\0\1\x09\xf0\0\0\1\x65\x88")).disposable


def test_h265_layers() -> None:
    reader = PictureReader("hevc", None)
    trail_n, trail_r = 0 << 1, 1 << 1
    assert reader.read(memoryview(bytes([0, 0, 1, trail_n, 1]))) == Picture(disposable=True, layer=0)
    assert reader.read(memoryview(bytes([0, 0, 1, trail_n, 2]))) == Picture(disposable=True, layer=1)
    assert reader.read(memoryview(bytes([0, 0, 1, trail_r, 1]))) == Picture(disposable=False, layer=0)


def test_vp8_frames_that_are_not_shown() -> None:
    reader = PictureReader("vp8", None)
    assert reader.read(memoryview(b"\x10\0\0")) == WHOLE
    assert reader.read(memoryview(b"\x00\0\0")) == HIDDEN


def test_an_unknown_codec_skips_nothing() -> None:
    assert PictureReader("prores", None).read(memoryview(b"\0\0\0\1\x01")) == WHOLE


@given(st.sampled_from(["h264", "hevc", "vp8"]), st.binary(max_size=200), st.binary(max_size=60))
def test_any_bytes_are_survived(codec: str, packet: bytes, extradata: bytes) -> None:
    picture = PictureReader(codec, extradata).read(memoryview(packet))
    assert picture.layer in range(7)


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_what_is_called_disposable_is_not_missed(media: Media, codec: str) -> None:
    """Leaving them out changes no pixel of the frames that remain."""
    options = {"x265-params": "log-level=none:keyint=60"} if codec == "libx265" else {}
    path = media.video("clip.mkv", codec=codec, frames=50, options=options)
    whole = dict(decoded(path, drop=False))
    thinned = dict(decoded(path, drop=True))
    assert 10 < len(thinned) < len(whole) == 50
    assert all(whole[pts] == image for pts, image in thinned.items())


def decoded(path: object, *, drop: bool) -> Iterator[tuple[int, bytes]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        reader = PictureReader(stream.codec_context.codec.canonical_name, stream.codec_context.extradata)
        for packet in container.demux(stream):
            if packet.size and drop and reader.read(memoryview(packet)).disposable:
                continue
            for frame in packet.decode():
                yield frame.pts, frame.to_ndarray(format="gray").tobytes()
