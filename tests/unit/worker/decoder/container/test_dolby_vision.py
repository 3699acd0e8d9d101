"""Dolby Vision without a compatible picture is refused; with one, that is screened."""

import struct
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UnsupportedMedia
from core.settings import DecodeSettings, SamplingSettings
from tests.media import Media
from worker.decoder.container.dolby_vision import profile_in_matroska, tracks_in_mp4
from worker.decoder.reader import DecodeReport, VideoReader

CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")


def record(profile: int, compatibility: int) -> bytes:
    """Dolby's configuration: level 1, with base layer and instructions."""
    return struct.pack(">2BHB19x", 1, 0, profile << 9 | 0b1101, compatibility << 4)


def with_dolby_vision(mp4: bytes, profile: int, compatibility: int, *, tag: bytes = b"hvc1") -> bytes:
    """An MP4 whose index lies behind its pictures, its first track declared as Dolby Vision."""
    box = struct.pack(">I4s", 32, b"dvvC" if profile > 7 else b"dvcC") + record(profile, compatibility)
    entry = mp4.index(b"stsd") + 12
    end = entry + int.from_bytes(mp4[entry : entry + 4], "big")
    made = bytearray(mp4)
    at = mp4.rindex(b"moov") - 4
    while at <= entry:  # from the index down to the description, all that hold it grow
        size, kind = struct.unpack_from(">I4s", made, at)
        if at + size <= entry:
            at += size
            continue
        struct.pack_into(">I", made, at, size + len(box))
        at += 16 if kind == b"stsd" else 8 if kind in CONTAINERS else size
    made[entry + 4 : entry + 8] = tag
    made[end:end] = box
    return bytes(made)


def hevc(media: Media, name: str = "plain.mp4") -> bytes:
    options = {"x265-params": "log-level=none"}
    return media.video(
        name, codec="libx265", pixel_format="yuv420p10le", frames=8, options=options
    ).read_bytes()


def read(path: Path) -> DecodeReport:
    with VideoReader(path, DecodeSettings(), SamplingSettings(), name=path.name) as reader:
        assert len(list(reader)) == 8
    assert reader.report is not None
    return reader.report


@pytest.mark.parametrize(("profile", "tag"), [(5, b"dvh1"), (5, b"hvc1"), (5, b"dvhe")])
def test_colours_that_nothing_else_can_show_are_refused(media: Media, profile: int, tag: bytes) -> None:
    path = media.folder / "dolby.mp4"
    path.write_bytes(with_dolby_vision(hevc(media), profile, 0, tag=tag))
    with pytest.raises(UnsupportedMedia, match=r"dolby\.mp4: Dolby Vision of profile 5.*Export it as HDR10"):
        read(path)


@pytest.mark.parametrize(("profile", "compatibility"), [(8, 1), (8, 4), (8, 2), (7, 6), (7, 0)])
def test_a_compatible_base_layer_is_screened(media: Media, profile: int, compatibility: int) -> None:
    path = media.folder / "dolby.mp4"
    path.write_bytes(with_dolby_vision(hevc(media), profile, compatibility))
    assert read(path).unseen == ()


@pytest.mark.parametrize(("profile", "compatibility"), [(5, 0), (8, 4)])
def test_in_matroska_too(media: Media, profile: int, compatibility: int) -> None:
    source = media.folder / "dolby.mp4"
    source.write_bytes(with_dolby_vision(hevc(media), profile, compatibility))
    path = media.remux(source, "dolby.mkv")
    assert b"dvcC" in path.read_bytes() or b"dvvC" in path.read_bytes()
    if compatibility:
        assert read(path).unseen == ()
    else:
        with pytest.raises(UnsupportedMedia, match="Dolby Vision of profile 5"):
            read(path)


def test_beside_another_stream_it_is_named(media: Media) -> None:
    hevc(media)
    path = media.folder / "two.mp4"
    with av.open(str(media.folder / "plain.mp4")) as given, av.open(str(path), "w") as output:
        copies = [output.add_stream_from_template(given.streams.video[0]) for _ in range(2)]
        for packet in [packet for packet in given.demux(video=0) if packet.size]:
            for copy in copies:
                packet.stream = copy
                output.mux(packet)
    path.write_bytes(with_dolby_vision(path.read_bytes(), 5, 0))
    report = read(path)
    assert len(report.unseen) == 1
    assert report.unseen[0].startswith("video stream 0 (Dolby Vision of profile 5")
    assert report.coverage == 0.5


@given(st.binary(max_size=200))
def test_what_strangers_write_is_survived(content: bytes) -> None:
    for index in (
        content,
        b"\0\0\1\0moov\0\0\0\xf0trak" + content,
        b"\0\0\1\0moov\0\0\0\xf0trak\0\0\0\xff" + content,
    ):
        assert isinstance(tracks_in_mp4(index), dict)
    assert profile_in_matroska(content) is None or b"dv" in content
