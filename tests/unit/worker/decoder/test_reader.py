"""The reader on files as they should be: every frame is the one it claims to be, none is missing."""

import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from core.errors import EmptyFile, FileVanished, UnsafePath
from core.settings import DecodeSettings, SamplingSettings
from tests.media import Media, number_in
from worker.decoder.reader import DecodeReport, Frame, VideoReader

pytestmark = pytest.mark.slow

Children = Callable[[], list[psutil.Process]]
RATE = 25


def read(path: Path, **sampling: float) -> tuple[list[Frame], VideoReader, DecodeReport]:
    with VideoReader(path, DecodeSettings(), SamplingSettings(**sampling), name="clip") as reader:
        frames = list(reader)
    assert reader.report is not None
    return frames, reader, reader.report


def assert_whole_and_exact(path: Path, count: int, slack_frames: int = 0) -> None:
    frames, _, report = read(path)
    assert [frame.index for frame in frames] == list(range(count))
    assert report.coverage == 1.0
    for frame in frames:
        assert number_in(frame.image) == pytest.approx(frame.time_seconds * RATE, abs=slack_frames + 0.1)
        assert not frame.damaged


@pytest.mark.parametrize(
    ("codec", "name", "options"),
    [
        ("libx264", "a.mp4", {}),
        ("libx264", "a.mov", {}),
        ("libx264", "a.mkv", {}),
        ("libx264", "a.ts", {}),
        ("libx264", "a.flv", {}),
        ("libx264", "intra.mp4", {"x264-params": "keyint=1"}),
        ("libx264", "open_gop.mp4", {"x264-params": "open-gop=1:keyint=20:bframes=5:b-adapt=0"}),
        ("libx264", "many_b.mp4", {"x264-params": "bframes=16:b-adapt=0:b-pyramid=none"}),
        ("libx264", "refresh.mp4", {"x264-params": "intra-refresh=1:keyint=20:bframes=0"}),
        ("libx264", "refresh.ts", {"x264-params": "intra-refresh=1:keyint=20:bframes=0"}),
        ("libx265", "a.mp4", {"x265-params": "keyint=30:log-level=none"}),
        ("libx265", "open_gop.mkv", {"x265-params": "keyint=30:open-gop=1:log-level=none"}),
        ("libx265", "layers.mp4", {"x265-params": "temporal-layers=1:bframes=4:log-level=none"}),
        ("libvpx", "a.webm", {}),
        ("libvpx-vp9", "b.webm", {}),
        ("libsvtav1", "a.mkv", {}),
        ("mpeg4", "a.mp4", {"bf": "2"}),
        ("mpeg2video", "a.ts", {"bf": "2"}),
        ("mpeg1video", "a.mkv", {"bf": "2"}),
        ("flv", "a.flv", {}),
        ("wmv2", "a.avi", {}),
    ],
)
def test_codecs_and_containers(media: Media, codec: str, name: str, options: dict[str, str]) -> None:
    assert_whole_and_exact(media.video(name, codec=codec, options=options, frames=120), 10)


@pytest.mark.parametrize(
    ("codec", "name", "pixel_format"),
    [("mjpeg", "a.avi", "yuvj420p"), ("prores", "a.mov", "yuv422p10le"), ("ffv1", "a.mkv", "yuv444p")],
)
def test_codecs_of_cameras_and_studios(media: Media, codec: str, name: str, pixel_format: str) -> None:
    assert_whole_and_exact(media.video(name, codec=codec, pixel_format=pixel_format, frames=60), 8)


def test_avi_without_presentation_times(media: Media) -> None:
    """AVI stores decoding times only: the frames are right, their times off by the encoder's delay."""
    assert_whole_and_exact(media.video("a.avi", codec="mpeg4", options={"bf": "2"}, frames=120), 10, 2)


@pytest.mark.parametrize("name", ["a.mkv", "a.mov", "a.ts", "a.flv"])
def test_remuxed(media: Media, name: str) -> None:
    clip = media.video("clip.mp4", frames=120, options={"x264-params": "bframes=0:keyint=48"})
    assert_whole_and_exact(media.remux(clip, name), 10)


def test_edit_list_that_hides_the_beginning(media: Media) -> None:
    """A trimmed clip: the packets before its start are there for decoding, and are not shown."""
    clip = media.video("clip.mp4", frames=120, options={"x264-params": "bframes=0:keyint=1000"})
    trimmed = media.remux(clip, "trimmed.mp4", shift=-1.0, options={"avoid_negative_ts": "disabled"})
    frames, reader, report = read(trimmed)
    assert report.coverage == 1.0
    assert reader.probe.frames == 95
    assert all(number_in(f.image) == round(f.time_seconds * RATE) + 25 for f in frames)


def test_variable_frame_rate(media: Media) -> None:
    def seconds_of(number: int) -> float:
        return number / 30 if number < 60 else 2.0 + (number - 60) * 0.5

    frames, _, report = read(media.video("vfr.mp4", frames=90, seconds_of=seconds_of))
    assert report.coverage == 1.0
    assert report.expected == 33  # two a second over 16.5 seconds
    for frame in frames:
        assert frame.time_seconds == pytest.approx(seconds_of(number_in(frame.image)), abs=0.002)


def test_negative_presentation_times(media: Media) -> None:
    """Without an edit list that would hide them, frames before zero are frames like others."""
    options = {"avoid_negative_ts": "disabled", "use_editlist": "0", "movflags": "negative_cts_offsets"}
    early = media.remux(media.video("clip.mp4", frames=60), "early.mp4", shift=-0.5, options=options)
    frames, reader, report = read(early)
    assert (report.coverage, reader.probe.frames) == (1.0, 60)
    numbers = [number_in(frame.image) for frame in frames]
    assert numbers == sorted(set(numbers))
    assert all(frame.time_seconds >= 0 for frame in frames)


def test_two_recordings_spliced_into_one_stream(media: Media) -> None:
    """Their timestamps overlap; both are sampled, in order."""
    first, second = media.video("1.ts", frames=60), media.video("2.ts", frames=60)
    spliced = media.folder / "spliced.ts"
    spliced.write_bytes(first.read_bytes() + second.read_bytes())
    frames, reader, report = read(spliced)
    assert report.coverage == 1.0
    assert reader.probe.frames == 120
    times = [frame.time_seconds for frame in frames]
    assert times == sorted(times)
    numbers = [number_in(frame.image) for frame in frames]
    assert sum(1 for before, after in pairwise(numbers) if after < before) == 1


def test_frames_that_grow_on_the_way(media: Media) -> None:
    """Each is handed over as it is, though the shared memory was divided for the first."""
    small = media.video("1.ts", frames=60, size=(192, 128)).read_bytes()
    large = media.video("2.ts", frames=60, size=(640, 360)).read_bytes()
    path = media.folder / "grows.ts"
    path.write_bytes(small + large + small)
    frames, _, report = read(path, min_frames=36)
    assert len(frames) == 36
    assert report.damaged <= 2  # at the seams the stream's own counters jump
    shapes = [frame.image.shape[:2] for frame in frames]
    assert set(shapes) == {(128, 192), (360, 640)}
    assert shapes[0] == shapes[-1] == (128, 192)
    assert all(number_in(frame.image) < 60 for frame in frames)


def test_a_recording_that_starts_midway(media: Media) -> None:
    """Cut out of a broadcast: what comes before its first keyframe cannot be decoded."""
    whole = media.video("a.ts", frames=120, options={"x264-params": "keyint=40:bframes=0"}).read_bytes()
    cut = media.folder / "cut.ts"
    cut.write_bytes(whole[188 * (len(whole) // 188 // 8) :])
    frames, _, report = read(cut)
    assert frames[-1].damaged is False
    assert report.expected - report.taken == 1
    assert number_in(frames[0].image) == 40
    assert not any(frame.damaged for frame in frames)


def test_long_gops_are_decoded_through_and_nothing_disposable_with_them(media: Media) -> None:
    _, reader, report = read(
        media.video("a.mp4", frames=250, options={"x264-params": "keyint=250:b-adapt=0"})
    )
    assert report.expected == 20
    assert report.decoded_frames < 0.65 * reader.probe.frames


def test_of_a_long_video_only_keyframes_are_decoded(media: Media) -> None:
    clip = media.video("a.mp4", frames=3000, options={"x264-params": "keyint=25", "preset": "ultrafast"})
    frames, _, report = read(clip)
    assert len(frames) == 64
    assert all(frame.keyframe for frame in frames)
    assert report.decoded_frames == 64


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_seeking_lands_where_it_should(media: Media, container: str) -> None:
    options = {"x264-params": "keyint=100:bframes=3", "preset": "ultrafast"}
    clip = media.video(f"a.{container}", frames=2000, options=options)
    frames, _, report = read(clip, max_frames=6, min_frames=6)
    assert report.decoded_frames == 6
    assert all(number_in(frame.image) == round(frame.time_seconds * RATE) for frame in frames)


@pytest.mark.parametrize(
    ("rotation", "turn"),
    [
        ((0.0, False), lambda image: image),
        ((90.0, False), lambda image: np.rot90(image, 1)),
        ((180.0, False), lambda image: np.rot90(image, 2)),
        ((-90.0, False), lambda image: np.rot90(image, -1)),
        ((0.0, True), lambda image: image[:, ::-1]),
        ((90.0, True), lambda image: np.rot90(image, 1)[:, ::-1]),
        ((180.0, True), lambda image: image[::-1]),
    ],
)
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_rotation_by_metadata_is_applied(
    media: Media,
    rotation: tuple[float, bool],
    turn: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
    container: str,
) -> None:
    plain, *_ = read(media.video("plain.mp4", frames=3))
    turned, reader, _ = read(media.video(f"turned.{container}", frames=3, rotation=rotation))
    for stored, shown in zip(plain, turned, strict=True):
        np.testing.assert_array_equal(shown.image, turn(stored.image))
        assert (reader.probe.height, reader.probe.width) == shown.image.shape[:2]
        assert shown.image.flags.c_contiguous


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (17, 9), (641, 481)])
def test_odd_sizes(media: Media, size: tuple[int, int]) -> None:
    frames, reader, report = read(media.video("odd.mp4", frames=2, size=size, pixel_format="yuv444p"))
    assert report.coverage == 1.0
    assert {frame.image.shape for frame in frames} == {(size[1], size[0], 3)}
    assert (reader.probe.width, reader.probe.height) == size


def test_a_video_of_one_frame(media: Media) -> None:
    frames, reader, report = read(media.video("one.mp4", frames=1))
    assert [number_in(frame.image) for frame in frames] == [0]
    assert (report.expected, report.coverage, reader.probe.frames) == (1, 1.0, 1)


def test_a_name_with_newline_and_emoji(media: Media) -> None:
    clip = shutil.copy(media.video("clip.mp4", frames=10), media.folder / "a\nb\N{GRINNING FACE}\x1b[31m.mp4")
    frames, *_ = read(Path(clip))
    assert len(frames) == 8


def test_probe(media: Media) -> None:
    _, reader, _ = read(media.video("a.mp4", frames=100, rotation=(90.0, False)))
    probe = reader.probe
    assert (probe.codec, probe.pixel_format, probe.frames, probe.rotation) == ("h264", "yuv420p", 100, 270)
    assert probe.container.startswith("mov")
    assert probe.duration_seconds == pytest.approx(4.0, abs=0.001)
    assert probe.frame_rate == pytest.approx(25.0)
    assert probe.expected_samples == 8


def test_frames_are_copies_of_their_own(media: Media) -> None:
    """More frames than the shared memory has places; what came first has not been written over."""
    frames, *_ = read(media.video("a.mp4", frames=100), min_frames=40)
    assert len(frames) == 40
    assert [number_in(frame.image) for frame in frames] == [round(f.time_seconds * RATE) for f in frames]
    assert all(frame.image.flags.owndata and frame.image.flags.writeable for frame in frames)


def test_a_slow_consumer_loses_nothing_and_leaving_early_leaves_no_process(
    media: Media, new_children: Children
) -> None:
    clip = media.video("a.mp4", frames=100)
    with VideoReader(clip, DecodeSettings(), SamplingSettings(min_frames=40), name="clip") as reader:
        for frame in reader:
            if frame.index == 3:
                break
    assert new_children() == []
    assert reader.report is not None
    assert reader.report.taken == 4


def test_an_exception_in_the_consumer_leaves_no_process(media: Media, new_children: Children) -> None:
    def consume(path: Path) -> None:
        with VideoReader(path, DecodeSettings(), SamplingSettings(), name="clip") as reader:
            for frame in reader:
                _ = frame.index / 0

    with pytest.raises(ZeroDivisionError):
        consume(media.video("a.mp4", frames=100))
    assert new_children() == []


def test_no_descriptors_leak(media: Media) -> None:
    clip = media.video("a.mp4", frames=10)
    read(clip)
    before = psutil.Process().num_fds()
    for _ in range(3):
        read(clip)
    with pytest.raises(FileVanished):
        read(media.folder / "gone.mp4")
    assert psutil.Process().num_fds() == before


def test_paths_that_are_no_file(media: Media, tmp_path: Path) -> None:
    with pytest.raises(FileVanished, match="there is no such file"):
        read(tmp_path / "gone.mp4")
    with pytest.raises(UnsafePath, match="a folder"):
        read(tmp_path)
    with pytest.raises(UnsafePath, match="not a regular file"):
        read(Path("/dev/zero"))
    (tmp_path / "link.mp4").symlink_to(media.video("clip.mp4", frames=2))
    with pytest.raises(UnsafePath, match="symbolic link"):
        read(tmp_path / "link.mp4")
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(EmptyFile):
        read(tmp_path / "empty.mp4")


@pytest.mark.corpus
def test_every_genuine_video_is_covered_wholly(corpus: Path, media: Media) -> None:
    videos = sorted((corpus / "videos").glob("*.mp4"))
    assert videos
    for path in videos:
        original, reader, report = read(path)
        assert report.coverage == 1.0, path.name
        assert not any(frame.damaged for frame in original)
        remuxed, _, report = read(media.remux(path, f"{path.stem}.mkv"))
        assert report.coverage == 1.0, path.name
        assert len(remuxed) == len(original) == reader.probe.expected_samples
