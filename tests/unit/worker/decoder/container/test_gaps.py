"""What is missing in the middle of a file, what only stands still, and timestamps that slip."""

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from core.settings import DecodeSettings, SamplingSettings
from tests.media import HEIGHT, WIDTH, Media, number_in, picture
from worker.decoder.container.nal_units import WHOLE
from worker.decoder.reader import DecodeReport, Frame, VideoReader
from worker.decoder.video.timeline import Timeline

pytestmark = pytest.mark.slow

RATE = 25
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}


def read(path: Path) -> tuple[list[Frame], DecodeReport]:
    with VideoReader(path, DecodeSettings(), SamplingSettings(), name=path.name) as reader:
        frames = list(reader)
    assert reader.report is not None
    return frames, reader.report


def without_fragments(content: bytes, gone: set[int], sequence: Callable[[int], int] | None = None) -> bytes:
    """A fragmented MP4 without some of its fragments; `sequence` gives them other numbers."""
    kept, at, number = b"", 0, -1
    while at < len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        piece = bytearray(content[at : at + size])
        if kind == b"moof":
            number += 1
            if sequence is not None:
                piece[20:24] = sequence(number).to_bytes(4, "big")
        if kind not in {b"moof", b"mdat"} or number not in gone:
            kept += piece
        at += size
    return kept


@pytest.mark.parametrize("sequence", [None, lambda _: 1], ids=["numbered", "all with one number"])
def test_missing_fragments_of_an_mp4(media: Media, sequence: Callable[[int], int] | None) -> None:
    clip = media.video("a.mp4", frames=100, options={"g": "25", "bf": "0"}, container_options=FRAGMENTS)
    path = media.folder / "gap.mp4"
    path.write_bytes(without_fragments(clip.read_bytes(), set(), sequence))
    assert read(path)[1].coverage == 1.0
    path.write_bytes(without_fragments(clip.read_bytes(), {1, 2}, sequence))
    frames, report = read(path)
    assert report.coverage == pytest.approx(0.5, abs=0.05)
    assert all(number_in(frame.image) == round(frame.time_seconds * RATE) for frame in frames)


def with_still(number: int) -> float:
    """A screen recording: 25 frames a second, and none between the 2nd and the 6th second."""
    return number / RATE if number < 50 else 4.0 + number / RATE


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {}),
        ("fragments.mp4", FRAGMENTS),
        ("a.mkv", {}),
        ("live.mkv", {"live": "1"}),
        ("a.ts", {}),
        ("a.flv", {}),
        ("a.mov", {}),
    ],
)
def test_a_still_passage_is_no_loss(media: Media, name: str, options: dict[str, str]) -> None:
    clip = media.video(
        name, frames=150, seconds_of=with_still, container_options=options, options={"g": "25", "bf": "0"}
    )
    frames, report = read(clip)
    assert report.coverage == 1.0
    assert report.expected == 20
    for frame in frames:
        assert frame.time_seconds == pytest.approx(with_still(number_in(frame.image)), abs=0.002)


@pytest.mark.parametrize("name", ["a.mkv", "a.flv", "a.ts"])
def test_a_piece_that_was_cut_out(media: Media, name: str) -> None:
    """The same wait between two frames; here bytes of the packets around it are left over."""
    content = media.video(name, frames=250, options={"g": "25"}).read_bytes()
    start, end = int(0.31 * len(content)), int(0.69 * len(content))
    path = media.folder / f"cut_{name}"
    path.write_bytes(content[:start] + content[end:])
    assert read(path)[1].coverage == pytest.approx(0.62, abs=0.12)


def with_sound(path: Path, silent: Callable[[float], bool]) -> Path:
    """A still passage from second 2 to 6, and sound but where it is `silent`."""
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("mpeg4", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound: Any = output.add_stream("pcm_s16le", rate=8000)
        sound.layout = "mono"
        packets: list[Any] = []
        for number in range(100):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts, frame.time_base = round(with_still(number) * RATE), Fraction(1, RATE)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        for number in range(80):
            piece = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
            piece.rate, piece.pts, piece.time_base = 8000, 800 * number, Fraction(1, 8000)
            if not silent(number / 10):
                packets += sound.encode(piece)
        output.mux(sorted(packets, key=lambda packet: packet.dts * packet.time_base))
    return path


def test_a_wait_in_which_the_sound_stops_too_is_a_hole(media: Media) -> None:
    still = with_sound(media.folder / "still.mkv", lambda _: False)
    assert read(still)[1].coverage == 1.0
    hole = with_sound(media.folder / "hole.mkv", lambda seconds: 2 <= seconds < 6)
    assert read(hole)[1].coverage == pytest.approx(0.5, abs=0.05)


NO_EDITS = {"use_editlist": "0"}  # the muxer would let the film begin with the packet that slipped


def slipped(media: Media, name: str, slip: int) -> Path:
    """A clip of which one packet, the `slip`th, says that it is shown ten hours later."""
    clip = media.video("clip.mp4", frames=100, options={"g": "25", "bf": "0"})
    path = media.folder / name
    with av.open(str(clip)) as given, av.open(str(path), "w", options=NO_EDITS) as output:
        stream = output.add_stream_from_template(given.streams.video[0])
        packet: Any
        for number, packet in enumerate(p for p in given.demux(video=0) if p.size):
            packet.stream = stream
            if number == slip:
                packet.pts += round(36_000 / packet.time_base)
            output.mux(packet)
    return path


@pytest.mark.parametrize(
    ("name", "slip"),
    [
        *((name, slip) for name in ("a.mp4", "a.mkv", "a.ts") for slip in (40, 50, 99)),
        ("a.mp4", 0),
        ("a.ts", 0),
    ],
)
def test_one_timestamp_hours_ahead(media: Media, name: str, slip: int) -> None:
    frames, report = read(slipped(media, name, slip))
    assert report.coverage == 1.0
    assert report.expected == 8
    numbers = [number_in(frame.image) for frame in frames]
    assert numbers == sorted(numbers)
    assert numbers[0] < 25
    assert numbers[-1] >= 75
    assert report.longest_unseen_seconds < 1.5
    for frame in frames:
        assert frame.time_seconds == pytest.approx(number_in(frame.image) / RATE, abs=0.1)


@pytest.mark.parametrize("slip", [1, 40, 99])
def test_one_tag_of_an_flv_hours_ahead(media: Media, slip: int) -> None:
    """Here decoding times slip with it, and libav reads on from there."""
    content = bytearray(media.video("a.flv", frames=100, options={"g": "25", "bf": "0"}).read_bytes())
    tags, at = [], 13
    while at < len(content):
        if content[at] == 9 and content[at + 12] == 1:  # a picture, and no description of pictures
            tags.append(at)
        at += 15 + int.from_bytes(content[at + 1 : at + 4], "big")
    assert len(tags) == 100
    content[tags[slip] + 4 : tags[slip] + 8] = b"\x11\x11\x11\x02"
    path = media.folder / "slip.flv"
    path.write_bytes(bytes(content))
    frames, report = read(path)
    assert report.coverage == 1.0
    numbers = [number_in(frame.image) for frame in frames]
    assert numbers[-1] >= 75
    assert len(set(numbers)) == 8


def timeline(times: list[int], breaks: frozenset[int] = frozenset()) -> Timeline:
    made = Timeline(1 / 1000)
    for number, time in enumerate(times):
        made.add(pts=time, dts=time, key=number == 0, hidden=False, picture=WHOLE, broken=number in breaks)
    made.close()
    return made


def test_a_wait_is_a_hole_only_with_evidence() -> None:
    times = [*range(0, 1000, 40), *range(3000, 4000, 40)]
    assert timeline(times).lost() == 0.0
    assert timeline(times, frozenset({25})).lost() == pytest.approx(0.5, abs=0.02)
    assert timeline(times, frozenset({5})).lost() == 0.0
    assert timeline(times).lost([(1.1, 2.9)]) == pytest.approx(0.5, abs=0.02)
    assert timeline(times).lost([(0.0, 0.9), (3.5, 9.0)]) == 0.0


def test_a_recording_that_starts_anew_is_not_taken_for_a_slip() -> None:
    made = timeline([*range(0, 2000, 40), *range(900_000, 902_000, 40), *range(0, 2000, 40)])
    assert made.frames == list(range(150))
    assert not made.mended


def test_two_slips_in_a_row_are_mended() -> None:
    made = timeline([0, 40, 80, 50_000, 50_040, 200, 240, 280])
    assert made.times() == [0, 40, 80, 120, 160, 200, 240, 280]
    assert made.frames == list(range(8))


def test_a_minute_of_waiting_counts_at_most() -> None:
    assert timeline([0, 3_600_000, 7_200_000, 7_200_040]).busy_seconds() == pytest.approx(120.04)
