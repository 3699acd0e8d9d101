"""Streams beside the pictures, of every kind that the demuxers know: none keeps a video from being read."""

import pkgutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from core.settings import DecodeSettings, SamplingSettings
from tests.media import HEIGHT, WIDTH, Media, number_in, picture
from worker.decoder.reader import VideoReader

pytestmark = pytest.mark.slow

# Of PyAV's modules, those that no reader reaches: its command line and its sample files.
UNREACHED = {"av.__main__", "av.datasets"}

CASES = [
    ("mp4", "mov_text", b"\0\5hello"),
    ("mov", "mov_text", b"\0\5hello"),
    ("mp4", "dvd_subtitle", bytes(64)),
    ("mp4", "ttml", b"<tt/>"),
    ("mp4", "bin_data", bytes(16)),
    ("mov", "eia_608", bytes(16)),
    ("mkv", "subrip", b"hello"),
    ("mkv", "ass", b"0,0,Default,,0,0,0,,hello"),
    ("mkv", "webvtt", b"hello"),
    ("mkv", "hdmv_pgs_subtitle", bytes(32)),
    ("mkv", "hdmv_text_subtitle", bytes(32)),
    ("mkv", "dvd_subtitle", bytes(64)),
    ("mkv", "dvb_subtitle", bytes(32)),
    ("ts", "dvb_subtitle", bytes(32)),
    ("ts", "dvb_teletext", bytes(46)),
    ("ts", "hdmv_pgs_subtitle", bytes(32)),
    ("ts", "timed_id3", b"ID3\4\0\0\0\0\0\0"),
    ("ts", "klv", bytes(32)),
    ("ts", "scte_35", bytes(32)),
    ("ts", "smpte_2038", bytes(32)),
]


def read(path: Path) -> list[int]:
    """The numbers of the frames, all of which came."""
    with VideoReader(path, DecodeSettings(), SamplingSettings(), name=path.name) as reader:
        numbers = [number_in(frame.image) for frame in reader]
    assert reader.report is not None
    assert reader.report.coverage == 1.0
    return numbers


class Clip:
    """Eight frames that can be told apart, and what a test puts beside them."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.output = av.open(str(path), "w", **options)
        self.stream: Any = self.output.add_stream("mpeg4", rate=25)
        self.stream.width, self.stream.height, self.stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"

    def write(self) -> None:
        for number in range(8):
            self.output.mux(self.stream.encode(av.VideoFrame.from_ndarray(picture(number), format="rgb24")))
        self.output.mux(self.stream.encode(None))


@pytest.mark.parametrize(("container", "codec", "payload"), CASES)
def test_a_stream_of_another_kind(media: Media, container: str, codec: str, payload: bytes) -> None:
    path = media.folder / f"a.{container}"
    clip = Clip(path)
    with clip.output:
        other: Any = clip.output.add_mux_stream(codec)
        clip.write()
        for number in range(3):
            packet: Any = av.Packet(payload)
            packet.stream, packet.time_base = other, Fraction(1, 1000)
            packet.pts = packet.dts = 100 * number
            packet.duration = 100
            clip.output.mux(packet)
    with av.open(str(path)) as container_:
        assert {stream.type for stream in container_.streams} & {"subtitle", "data"}
    assert read(path) == list(range(8))


def test_sound_and_an_attachment(media: Media) -> None:
    path = media.folder / "a.mkv"
    clip = Clip(path)
    with clip.output:
        sound: Any = clip.output.add_stream("aac", rate=44_100)
        clip.output.add_attachment("font.ttf", "application/x-truetype-font", bytes(100))
        clip.write()
        clip.output.mux(sound.encode(None))
    with av.open(str(path)) as container:
        assert {stream.type for stream in container.streams} == {"video", "audio", "attachment"}
    assert read(path) == list(range(8))


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv"])
def test_chapters_and_a_timecode(media: Media, container: str) -> None:
    """In QuickTime both are tracks of their own."""
    path = media.folder / f"a.{container}"
    clip = Clip(path)
    with clip.output:
        clip.output.metadata["timecode"] = "01:00:00:00"
        clip.stream.metadata["timecode"] = "01:00:00:00"
        chapter: Any = {"id": 1, "start": 0, "end": 5, "time_base": Fraction(1, 25)}
        clip.output.set_chapters([chapter | {"metadata": {"title": "one"}}])
        clip.write()
    if container != "mkv":
        with av.open(str(path)) as container_:
            assert any(stream.type == "data" for stream in container_.streams)
    assert read(path) == list(range(8))


def test_subtitles_in_an_avi(media: Media) -> None:
    """As DivX wrote them: a text stream, of which the packets are files of their own."""
    path = media.folder / "a.avi"
    clip = Clip(path)
    with clip.output:
        sound: Any = clip.output.add_mux_stream("pcm_s16le", rate=8000)
        clip.write()
        packet: Any = av.Packet(
            b"GAB2\0\2\0\0\0\0\0\4\0" + bytes(4) + b"1\n00:00:00,000 --> 00:00:01,000\nhi\n"
        )
        packet.stream, packet.time_base, packet.pts, packet.dts = sound, Fraction(1, 8000), 0, 0
        clip.output.mux(packet)
    content = path.read_bytes()
    assert b"strh8\0\0\0auds" in content
    path.write_bytes(content.replace(b"strh8\0\0\0auds", b"strh8\0\0\0txts"))
    with av.open(str(path)) as container:
        assert [stream.type for stream in container.streams] == ["video", "subtitle"]
    assert read(path) == list(range(8))


def test_captions_in_an_flv(media: Media) -> None:
    """The stream is known only when its first packet comes."""
    path = media.folder / "a.flv"
    content = media.video("plain.flv", codec="flv", frames=8).read_bytes()
    text = b"\2\0\x0aonTextData\x08\0\0\0\1\0\4text\2\0\2hi\0\0\x09"
    tag = b"\x12" + len(text).to_bytes(3, "big") + bytes(7) + text + (11 + len(text)).to_bytes(4, "big")
    path.write_bytes(content[:13] + tag + content[13:])
    assert read(path) == list(range(8))


def test_all_of_pyav_that_a_reader_reaches_is_imported_before_the_lock_down() -> None:
    every = {module.name for module in pkgutil.walk_packages(av.__path__, "av.")} - UNREACHED
    listed = "print(*(name for name in sys.modules if name[:3] == 'av.'))"
    code = f"import sys, worker.decoder.video.decoding; {listed}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert every <= set(run.stdout.split())
