"""Small files that are dear to decode are refused by what they cost, in the real decoder process."""

from pathlib import Path

import pytest

from core.errors import TooCostly
from core.settings import DecodeSettings, SamplingSettings
from fuzz.hostile import Trap, hostile_files
from fuzz.seeds import seeds
from tests.media import Media
from worker.decoder.reader import VideoReader

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hostile() -> dict[str, bytes]:
    valid = {seed.name: seed.content for seed in seeds()}
    return dict(hostile_files(Trap(path="/nowhere", address="127.0.0.1:9"), valid))


def read(path: Path, settings: DecodeSettings) -> int:
    with VideoReader(path, settings, SamplingSettings()) as reader:
        return len(list(reader))


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("large.gif", DecodeSettings(), r"pixels in all its frames.*FACEWARDEN_DECODE__GIGAPIXELS"),
        ("scans.jpg", DecodeSettings(), r"pixels in all its frames.*FACEWARDEN_DECODE__GIGAPIXELS"),
        ("zlib.mkv", DecodeSettings(cpu_seconds=1.0), r"CPU time.*FACEWARDEN_DECODE__CPU_SECONDS"),
        ("fragments.mp4", DecodeSettings(cpu_seconds=1.0), r"CPU time.*FACEWARDEN_DECODE__CPU_SECONDS"),
    ],
)
def test_a_file_that_costs_more_than_its_size_may(
    hostile: dict[str, bytes], tmp_path: Path, name: str, settings: DecodeSettings, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(hostile[name])
    with pytest.raises(TooCostly, match=message):
        read(path, settings)


def test_pixels_of_a_video_count_too(media: Media) -> None:
    clip = media.video("clip.mp4", frames=30)
    with pytest.raises(TooCostly, match=r"pixels in all its frames"):
        read(clip, DecodeSettings(gigapixels=1e-5, gigapixels_per_megabyte=0))
    assert read(clip, DecodeSettings(gigapixels=1e-2, gigapixels_per_megabyte=0)) > 0
