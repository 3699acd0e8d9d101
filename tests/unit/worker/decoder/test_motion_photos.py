"""Pictures with a video behind them: both are looked at; what else hangs there is no loss."""

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image

from core.errors import BrokenMedia
from core.settings import DecodeSettings, SamplingSettings
from tests.media import HEIGHT, WIDTH, Media, number_in, picture
from worker.decoder.reader import DecodeReport, Frame, Probe, VideoReader

pytestmark = pytest.mark.slow

STILL, FIRST = 7, 1000  # the numbers in the picture, and in the video's first frame
RATE = 25

Read = tuple[list[Frame], Probe, DecodeReport]


def read(path: Path, **decode: float) -> Read:
    with VideoReader(path, DecodeSettings(**decode), SamplingSettings(), name=path.name) as reader:
        frames = list(reader)
    assert reader.report is not None
    return frames, reader.probe, reader.report


def still(form: str = "JPEG", **options: object) -> bytes:
    target = io.BytesIO()
    shown = Image.fromarray(picture(STILL))
    if form == "HEIF":
        pillow_heif.from_pillow(shown).save(target, quality=90)
    else:
        shown.save(target, form, quality=95, **options)
    return target.getvalue()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Two seconds."""
    path = Media(tmp_path_factory.mktemp("behind")).video(
        "behind.mp4", frames=50, rate=RATE, draw=lambda number, *size: picture(FIRST + number, *size)
    )
    return path.read_bytes()


def written(media: Media, name: str, *parts: bytes) -> Path:
    path = media.folder / name
    path.write_bytes(b"".join(parts))
    return path


def assert_both(found: Read) -> None:
    frames, _, report = found
    assert (report.coverage, report.unseen) == (1.0, ())
    assert number_in(frames[0].image) == STILL
    assert [frame.stream for frame in frames] == [0] + [1] * (len(frames) - 1)
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert report.expected == len(frames) >= 5
    for frame in frames[1:]:
        assert number_in(frame.image) == FIRST + round(frame.time_seconds * RATE)


def assert_still_alone(found: Read) -> None:
    frames, probe, report = found
    assert [number_in(frame.image) for frame in frames] == [STILL]
    assert (report.coverage, report.unseen, probe.frames) == (1.0, (), 1)


def named(segment: bytes) -> bytes:
    """The picture with XMP in it."""
    body = b"http://ns.adobe.com/xap/1.0/\0" + segment
    plain = still()
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + plain[2:]


SAMSUNG = b"\0\0\x30\x0a\x10\0\0\0MotionPhoto_Data"
BEHINDS: dict[str, Callable[[bytes], tuple[bytes, ...]]] = {
    "MicroVideo": lambda video: (named(b'GCamera:MicroVideoOffset="%d"' % len(video)), video),
    "container": lambda video: (named(b'Item:Length="%d"' % len(video)), video),
    "unnamed": lambda video: (still(), video),
    "Samsung": lambda video: (
        still(),
        SAMSUNG,
        video,
        b"SEFH\x6b\0\0\0\1\0\0\0\0\0\x30\x0a" + bytes(16) + b"SEFT",
    ),
    "behind another picture": lambda video: (still(), still(), video),
    "progressive": lambda video: (still(progressive=True), video),
    "without the picture's last marker": lambda video: (still()[:-2], video),
    "HEIC": lambda video: (still("HEIF"), video),
    "HEIC, in a box": lambda video: (still("HEIF"), struct.pack(">I4s", 8 + len(video), b"mpvd"), video),
    "AVIF": lambda video: (still("AVIF"), video),
}


@pytest.mark.parametrize("how", BEHINDS)
def test_picture_and_video_are_both_looked_at(media: Media, video: bytes, how: str) -> None:
    found = read(written(media, "motion.bin", *BEHINDS[how](video)))
    assert_both(found)


def test_the_probe_is_that_of_the_picture_and_tells_the_videos_codec(media: Media, video: bytes) -> None:
    _, probe, report = read(written(media, "motion.jpg", still(), video))
    assert (probe.container, probe.codec) == ("jpeg + mp4", "jpeg + h264")
    assert (probe.width, probe.height, probe.duration_seconds) == (WIDTH, HEIGHT, 0.0)
    assert probe.expected_samples == report.expected
    assert {number: one.taken for number, one in report.streams.items()} == {0: 1, 1: report.taken - 1}


def test_two_videos_behind_one_picture(media: Media, video: bytes) -> None:
    frames, _, report = read(written(media, "motion.jpg", still(), video, video))
    assert (report.coverage, report.unseen) == (1.0, ())
    assert sorted({frame.stream for frame in frames}) == [0, 1, 2]


def test_videos_beyond_the_fourth_are_named(media: Media, video: bytes) -> None:
    _, _, report = read(written(media, "motion.jpg", still(), *[video] * 6))
    assert report.unseen == ("appended videos beyond 4",)
    assert report.coverage < 1


def zipped() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("ftyp.txt", b"ftypisom" * 100)
    return target.getvalue()


TAILS = {
    "a zip": zipped(),
    "a page": b"<html>" + b"ftypmp42 <script>" * 1000,
    "the word alone": b"\0\0\0\x18ftypmp42" + bytes(200),
    "many beginnings": b"\0\0\0\x18ftypmp42" * 100_000,
    "a HEIC": still("HEIF"),
    "noise": bytes(range(256)) * 500,
}


@pytest.mark.parametrize("tail", TAILS)
def test_what_is_no_video_is_no_loss(media: Media, tail: str) -> None:
    assert_still_alone(read(written(media, "polyglot.jpg", still(), TAILS[tail])))


def test_places_that_hold_no_video_are_no_loss(media: Media) -> None:
    path = written(media, "motion.jpg", named(b'GCamera:MicroVideoOffset="100" Item:Length="99999999999"'))
    assert_still_alone(read(path))


def test_a_video_within_the_metadata_is_not_behind_the_picture(media: Media, video: bytes) -> None:
    assert_still_alone(read(written(media, "hidden.jpg", named(video[:60_000]))))


@pytest.mark.parametrize("kept", [40, 300])
def test_a_broken_video_is_named_and_the_picture_looked_at(media: Media, video: bytes, kept: int) -> None:
    frames, _, report = read(written(media, "motion.jpg", still(), video[:kept]))
    assert [number_in(frame.image) for frame in frames] == [STILL]
    assert report.coverage == 0.5
    assert len(report.unseen) == 1
    assert report.unseen[0].startswith("the appended video (")


def test_a_video_over_a_cap_is_named(media: Media, video: bytes) -> None:
    path = written(media, "motion.jpg", still(), video)
    frames, _, report = read(path, max_duration_seconds=1)
    assert [frame.stream for frame in frames] == [0]
    assert report.unseen == ("the appended video (the duration is 2 s)",)


def test_a_broken_picture_is_an_error_whatever_hangs_behind_it(media: Media, video: bytes) -> None:
    with pytest.raises(BrokenMedia):
        read(written(media, "motion.jpg", still()[:20], b"\xff\xd9", video))
