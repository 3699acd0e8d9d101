from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import av
import pytest
from av.error import PermissionError as Refused

from tests.media import Media
from worker.decoder.budget import Limits
from worker.decoder.protocol import Request
from worker.decoder.sampling import SampleRate
from worker.decoder.video.file import VideoFile
from worker.decoder.video.packets import PacketReader
from worker.decoder.video.picture_stream import PictureStream

REQUEST = Request(
    name="clip",
    file=-1,
    memory=-1,
    parent=-1,
    threads=1,
    max_pixels=1 << 24,
    max_duration_seconds=3600,
    max_streams=8,
    max_decoded_frames=10_000,
    memory_bytes=1 << 32,
    limits=Limits(pixels=1e9, cpu_seconds=60, cpu_seconds_per_pixel=0),
    rate=SampleRate(
        per_second=2,
        short=64,
        step_seconds=2,
        stepped=1800,
        long_step_seconds=5,
        least=8,
        most=4320,
    ),
)


@contextmanager
def opened(path: Path) -> Iterator[VideoFile]:
    with path.open("rb", buffering=0) as file:
        video = VideoFile(file, REQUEST, lambda: None)
        yield video
        video.container.close()


def contents(path: Path) -> list[bytes]:
    """The video packets from first to last, as libav gives them."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.ts", "a.flv", "a.avi"])
@pytest.mark.parametrize("gop", [3, 30, 200])
@pytest.mark.slow
def test_any_keyframe_can_be_reached_from_anywhere(media: Media, name: str, gop: int) -> None:
    options = {"g": str(gop), "preset": "ultrafast", "bf": "0" if name.endswith("avi") else "2"}
    path = media.video(name, frames=400, options=options)
    expected = contents(path)
    random = Random(gop)
    with opened(path) as video:
        reader = PacketReader(video, video.pictures[0])
        keys = [n for n in range(len(video.pictures[0].timeline)) if video.pictures[0].timeline.is_key(n)]
        assert len(keys) >= 2
        for key in [0, *random.choices(keys, k=12), keys[-1]]:
            reader.move_to(key)
            for number in range(key, min(key + random.randrange(1, 60), len(expected))):
                assert reader.position == number
                packet = reader.read()
                assert packet is not None
                assert bytes(packet) == expected[number]


@pytest.mark.parametrize("name", ["a.mp4", "a.ts"])
def test_where_seeking_fails_the_file_is_read_through(media: Media, name: str) -> None:
    path = media.video(name, frames=300, options={"g": "30"})
    expected = contents(path)

    class Unseekable(VideoFile):
        def seek(self, pictures: PictureStream, time: int) -> None:
            raise Refused(1, f"no way to {time} in {pictures.number}")

    with path.open("rb", buffering=0) as file:
        video = Unseekable(file, REQUEST, lambda: None)
        reader = PacketReader(video, video.pictures[0])
        for key in (0, 90, 240, 30):
            reader.move_to(key)
            packet = reader.read()
            assert packet is not None
            assert bytes(packet) == expected[key]
        video.container.close()


def test_behind_the_last_packet_there_is_nothing(media: Media) -> None:
    with opened(media.video("a.mp4", frames=5)) as video:
        reader = PacketReader(video, video.pictures[0])
        reader.move_to(0)
        assert sum(1 for _ in iter(reader.read, None)) == 5
        assert reader.read() is None
