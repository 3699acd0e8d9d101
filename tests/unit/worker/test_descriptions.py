"""Files that describe their pictures anew on the way: both parts are decoded, wherever decoding starts."""

import struct
from pathlib import Path
from typing import Any

import av
import pytest

from core.settings import DecodeSettings, SamplingSettings
from tests.media import Media, number_in
from worker.decoder.reader import DecodeReport, Frame, VideoReader

pytestmark = pytest.mark.slow

RATE = 25


def read(path: Path, **sampling: float) -> tuple[list[Frame], DecodeReport]:
    with VideoReader(path, DecodeSettings(), SamplingSettings(**sampling), name=path.name) as reader:
        frames = list(reader)
    assert reader.report is not None
    return frames, reader.report


def box(kind: bytes, *content: bytes) -> bytes:
    whole = b"".join(content)
    return struct.pack(">I4s", 8 + len(whole), kind) + whole


def entry_of(path: Path) -> bytes:
    """The only sample description of an MP4."""
    content = path.read_bytes()
    at = content.index(b"stsd") + 12
    return content[at : at + int.from_bytes(content[at : at + 4], "big")]


def joined(parts: list[Path], target: Path) -> Path:
    """One MP4 track of the packets of all `parts`, each part with a sample description of its own."""
    packets: list[list[Any]] = []
    for part in parts:
        with av.open(str(part)) as container:
            packets.append([packet for packet in container.demux(video=0) if packet.size])
            width, height = container.streams.video[0].width, container.streams.video[0].height
    every = [packet for part in packets for packet in part]
    numbers = [number + 1 for number, packet in enumerate(every) if packet.is_keyframe]
    start = len(box(b"ftyp", b"isom\0\0\2\0isommp41")) + 8
    offsets = [start]
    for part in packets[:-1]:
        offsets.append(offsets[-1] + sum(packet.size for packet in part))

    def full(kind: bytes, *fields: int) -> bytes:
        return box(kind, bytes(4), struct.pack(f">{len(fields)}I", *fields))

    chunks = [field for n, part in enumerate(packets) for field in (n + 1, len(part), n + 1)]
    stbl = box(
        b"stbl",
        box(b"stsd", bytes(4), struct.pack(">I", len(parts)), *(entry_of(part) for part in parts)),
        full(b"stts", 1, len(every), 1),
        full(b"stsc", len(parts), *chunks),
        full(b"stsz", 0, len(every), *(packet.size for packet in every)),
        full(b"stco", len(offsets), *offsets),
        full(b"stss", len(numbers), *numbers),
    )
    minf = box(
        b"minf",
        box(b"vmhd", struct.pack(">I", 1), bytes(8)),
        box(b"dinf", box(b"dref", bytes(4), struct.pack(">I", 1), full(b"url ")[:8] + b"\0\0\0\1")),
        stbl,
    )
    mdhd = full(b"mdhd", 0, 0, RATE, len(every), 0x55C40000)
    hdlr = box(b"hdlr", bytes(8), b"vide", bytes(12), b"v\0")
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    tkhd = box(
        b"tkhd",
        struct.pack(">7I", 7, 0, 0, 1, 0, len(every), 0),
        bytes(12),
        matrix,
        struct.pack(">2I", width << 16, height << 16),
    )
    mvhd = box(
        b"mvhd", struct.pack(">5I", 0, 0, 0, RATE, len(every)), b"\0\1\0\0\1\0", bytes(10), matrix, bytes(28)
    )
    moov = box(b"moov", mvhd, box(b"trak", tkhd, box(b"mdia", mdhd, hdlr, minf)))
    mdat = box(b"mdat", *(bytes(packet) for packet in every))
    target.write_bytes(box(b"ftyp", b"isom\0\0\2\0isommp41") + mdat + moov)
    return target


def part(media: Media, name: str, codec: str, profile: str, gop: int, frames: int) -> Path:
    """A clip without frames that are shown out of order; its numbers go on from those of the part before."""
    plain = f"keyint={gop}:bframes=0"
    options = (
        {"x265-params": f"{plain}:log-level=none:{profile}"}
        if codec == "libx265"
        else {"x264-params": f"{plain}:{profile}"}
    )
    return media.video(name, codec=codec, frames=frames, options=options)


# Each pair differs in what the decoder must be told: entropy coding, transforms, size of blocks.
PROFILES = {
    "libx264": ("cabac=0:8x8dct=0", "cabac=1:8x8dct=1"),
    "libx265": ("sao=0:amp=0:ctu=16", "sao=1:amp=1:ctu=32"),
}


@pytest.mark.parametrize("codec", PROFILES)
@pytest.mark.parametrize("gop", [5, 60])
def test_an_mp4_of_two_recordings(media: Media, codec: str, gop: int) -> None:
    first, second = (
        part(media, f"{n}.mp4", codec, profile, gop, 50) for n, profile in enumerate(PROFILES[codec])
    )
    assert entry_of(first) != entry_of(second)
    frames, report = read(joined([first, second, first], media.folder / "joined.mp4"))
    assert report.coverage == 1.0
    assert len(frames) == 12
    assert all(number_in(frame.image) == round(frame.time_seconds * RATE) % 50 for frame in frames)


def test_going_straight_to_the_second_part(media: Media) -> None:
    """The packet that brought its description lies far before the keyframe from which decoding starts."""
    first, second = (
        part(media, f"{n}.mp4", "libx264", profile, 25, frames)
        for n, (profile, frames) in enumerate(zip(PROFILES["libx264"], (25, 500), strict=True))
    )
    frames, report = read(joined([first, second], media.folder / "joined.mp4"), min_frames=3, max_frames=3)
    assert report.coverage == 1.0
    assert report.decoded_frames == len(frames) == 3
    assert number_in(frames[-1].image) == round(frames[-1].time_seconds * RATE) - 25


def test_an_flv_of_two_recordings(media: Media) -> None:
    """In FLV the description is a tag among the others."""
    clips = [
        part(media, f"{n}.flv", "libx264", profile, 5, 50).read_bytes()
        for n, profile in enumerate(PROFILES["libx264"])
    ]
    path = media.folder / "joined.flv"
    path.write_bytes(clips[0] + later(clips[1][13:], 2000))
    frames, report = read(path)
    assert report.coverage == 1.0
    assert len(frames) == 8
    assert all(number_in(frame.image) == round(frame.time_seconds * RATE) % 50 for frame in frames)


def later(tags: bytes, milliseconds: int) -> bytes:
    """FLV tags with their timestamps moved."""
    moved, at = bytearray(tags), 0
    while at < len(moved):
        size = int.from_bytes(moved[at + 1 : at + 4], "big")
        time = int.from_bytes(moved[at + 4 : at + 7], "big") + milliseconds
        moved[at + 4 : at + 7] = time.to_bytes(3, "big")
        at += 15 + size
    return bytes(moved)


@pytest.mark.parametrize(("codec", "name"), [("libvpx", "a.webm"), ("libx264", "a.ts"), ("libx265", "a.ts")])
def test_a_resolution_that_changes_on_the_way(media: Media, codec: str, name: str) -> None:
    """Each frame comes in its own size."""
    path = media.folder / name
    sizes = [(192, 128), (384, 256), (192, 128)]
    if name.endswith("ts"):
        options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
        clips = [
            media.video(f"{n}.ts", codec=codec, frames=50, size=size, options=options)
            for n, size in enumerate(sizes)
        ]
        path.write_bytes(b"".join(clip.read_bytes() for clip in clips))
    else:
        resized(media, path, sizes)
    frames, report = read(path, min_frames=12)
    assert report.taken == report.expected == 12
    assert report.damaged <= 2  # at the seams the counters of a transport stream jump
    assert {frame.size for frame in frames} == set(sizes)
    assert frames[0].size == frames[-1].size == sizes[0]


def resized(media: Media, path: Path, sizes: list[tuple[int, int]]) -> None:
    """A WebM of the packets of clips of several sizes; a keyframe says its size itself."""
    with av.open(str(path), "w") as output:
        stream: Any = None
        for n, size in enumerate(sizes):
            with av.open(str(media.video(f"{n}.webm", codec="libvpx", frames=25, size=size))) as container:
                stream = stream or output.add_stream_from_template(container.streams.video[0])
                packet: Any
                for packet in container.demux(video=0):
                    if packet.size:
                        packet.pts = packet.dts = packet.pts + 1000 * n
                        packet.stream = stream
                        output.mux(packet)
