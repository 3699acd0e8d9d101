"""Files with several streams of pictures: each is looked at, and what is not is named."""

from pathlib import Path
from typing import Any

import av
import pytest

from core.errors import MediaTooLarge, UnsupportedMedia
from core.settings import DecodeSettings, SamplingSettings
from tests.media import HEIGHT, WIDTH, Media, number_in, picture
from worker.decoder.reader import DecodeReport, Frame, VideoReader

pytestmark = pytest.mark.slow

RATE = 25


def read(
    path: Path, decode: DecodeSettings | None = None, **sampling: float
) -> tuple[list[Frame], DecodeReport]:
    settings = SamplingSettings(**sampling)
    with VideoReader(path, decode or DecodeSettings(), settings, name=path.name) as reader:
        frames = list(reader)
    assert reader.report is not None
    return frames, reader.report


def several(path: Path, *streams: tuple[str, int, tuple[int, int]]) -> Path:
    """Streams as (codec, frames, size); the numbers in the frames of the nth begin at 1000 n."""
    with av.open(str(path), "w") as output:
        made: list[Any] = []
        for codec, _, size in streams:
            stream: Any = output.add_stream(codec, rate=RATE)
            stream.width, stream.height = size
            stream.pix_fmt = "yuv422p" if codec == "huffyuv" else "yuv420p"
            made.append(stream)
        packets: list[Any] = []
        for n, (stream, (_, frames, size)) in enumerate(zip(made, streams, strict=True)):
            for number in range(frames):
                frame = av.VideoFrame.from_ndarray(picture(1000 * n + number, *size), format="rgb24")
                packets += stream.encode(frame)
            packets += stream.encode(None)
        output.mux(sorted(packets, key=lambda packet: packet.dts * packet.time_base))
    return path


SIZE = (WIDTH, HEIGHT)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mov", "a.avi"])
def test_every_stream_is_looked_at(media: Media, name: str) -> None:
    path = several(media.folder / name, ("mpeg4", 100, SIZE), ("mpeg4", 50, (2 * WIDTH, 2 * HEIGHT)))
    frames, report = read(path)
    assert (report.coverage, report.unseen) == (1.0, ())
    assert [frame.index for frame in frames] == list(range(16))
    assert [frame.stream for frame in frames] == [0] * 8 + [1] * 8
    assert frames[-1].size == (2 * WIDTH, 2 * HEIGHT)
    for frame in frames:
        assert number_in(frame.image) == 1000 * frame.stream + round(frame.time_seconds * RATE)


def test_samples_and_budgets_are_shared(media: Media) -> None:
    streams = [("mpeg4", 100, SIZE)] * 3
    path = several(media.folder / "a.mkv", *streams)
    frames, report = read(path, max_frames=12, min_frames=8)
    assert report.expected == 12
    assert [frame.stream for frame in frames] == [0] * 4 + [1] * 4 + [2] * 4
    frames, report = read(path, DecodeSettings(max_decoded_frames=12))
    assert report.decoded_frames <= 12
    assert {frame.stream for frame in frames} == {0, 1, 2}
    assert 0.1 < report.coverage < 0.8


def test_a_stream_that_cannot_be_looked_at_is_named(media: Media) -> None:
    path = several(media.folder / "a.avi", ("mpeg4", 50, SIZE), ("huffyuv", 50, SIZE))
    frames, report = read(path)
    assert {frame.stream for frame in frames} == {0}
    assert report.unseen == ("video stream 1 (the codec huffyuv)",)
    assert report.coverage == 0.5
    with pytest.raises(UnsupportedMedia, match="huffyuv"):
        read(several(media.folder / "b.avi", ("huffyuv", 5, SIZE), ("huffyuv", 5, SIZE)))


@pytest.mark.parametrize("large", ["libx264", "mpeg4"])
@pytest.mark.parametrize(("small", "name"), [("libx264", "a.mp4"), ("mpeg4", "a.mp4"), ("mpeg4", "a.avi")])
def test_a_stream_over_a_cap_is_named(media: Media, name: str, large: str, small: str) -> None:
    path = several(media.folder / name, (large, 50, (2 * WIDTH, HEIGHT)), (small, 50, SIZE))
    frames, report = read(path, DecodeSettings(max_pixels=WIDTH * HEIGHT))
    assert {frame.stream for frame in frames} == {1}
    assert report.unseen == ("video stream 0 (the size of a frame is 384 x 128 pixels)",)
    assert report.coverage == 0.5
    with pytest.raises(MediaTooLarge, match="384 x 128"):
        read(path, DecodeSettings(max_pixels=100))


def test_of_many_streams_the_first_are_looked_at(media: Media) -> None:
    path = several(media.folder / "a.mkv", *[("mpeg4", 2, SIZE)] * 10)
    frames, report = read(path)
    assert {frame.stream for frame in frames} == set(range(8))
    assert len(report.unseen) == 2
    assert report.coverage == 0.8


def test_a_cover_picture_is_no_video(media: Media) -> None:
    path = media.folder / "a.mp4"
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("mpeg4", rate=RATE)
        cover: Any = output.add_stream("mjpeg", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        cover.width, cover.height, cover.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        for number in range(20):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), format="rgb24")))
        output.mux(stream.encode(None))
        output.mux(cover.encode(av.VideoFrame.from_ndarray(picture(99), format="rgb24")))
        output.mux(cover.encode(None))
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 2
    frames, report = read(path)
    assert report.coverage == 1.0
    assert 99 not in {number_in(frame.image) for frame in frames}
