"""The reader on files as they should not be: refused with a reason, or covered as far as they go."""

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from core.errors import (
    BrokenMedia,
    InputError,
    MediaTooLarge,
    NotMedia,
    NoVideoStream,
    UnsupportedMedia,
)
from core.gate import sniff
from core.media_formats import SCREENED
from core.media_signatures import HEAD_BYTES
from core.outcomes import MediaKind
from core.settings import DecodeSettings, SamplingSettings
from tests.media import HEIGHT, WIDTH, Media, mkv_of_tracks, mp4_of_tracks, number_in
from worker.decoder.reader import DecodeReport, Frame, VideoReader

pytestmark = pytest.mark.slow

RATE = 25


def read(path: Path, **decode: float) -> tuple[list[Frame], DecodeReport]:
    with VideoReader(path, DecodeSettings(**decode), SamplingSettings(), name=path.name) as reader:
        frames = list(reader)
    assert reader.report is not None
    return frames, reader.report


def written(media: Media, name: str, content: bytes) -> Path:
    path = media.folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "content", [b"hello\n" * 100, b"\0" * 5000, Random(0).randbytes(5000), b"%PDF-1.4\n"]
)
def test_what_is_no_media(media: Media, content: bytes) -> None:
    with pytest.raises(NotMedia, match=r"a\.mp4"):
        read(written(media, "a.mp4", content))


def test_sound_only(media: Media) -> None:
    with pytest.raises(NoVideoStream, match="only audio"):
        read(media.audio("a.mp4"))


@pytest.mark.parametrize("container_options", [{}, {"movflags": "faststart"}])
def test_an_mp4_without_its_index(media: Media, container_options: dict[str, str]) -> None:
    whole = media.video("a.mp4", container_options=container_options).read_bytes()
    with pytest.raises(BrokenMedia, match="truncated or damaged"):
        read(written(media, "cut.mp4", whole[: 600 if container_options else len(whole) // 2]))


@pytest.mark.parametrize("kept", [0.35, 0.6, 0.85])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.flv", "a.avi"])
def test_a_file_that_was_cut_off_is_not_covered_wholly(media: Media, name: str, kept: float) -> None:
    whole = media.video(
        name,
        frames=250,
        codec="mpeg4" if name.endswith("avi") else "libx264",
        container_options={"movflags": "faststart"} if name.endswith("mp4") else {},
        options={"g": "25"},
    )
    frames, report = read(whole)
    assert report.coverage == 1.0
    content = whole.read_bytes()
    frames, report = read(written(media, f"cut_{name}", content[: int(kept * len(content))]))
    assert report.coverage == pytest.approx(kept, abs=0.15)
    assert report.coverage < 1.0
    # What is there is looked at as densely as a whole video would be.
    assert len(frames) >= min(8, 2 * report.coverage * 10 - 2)
    assert all(number_in(f.image) == round(f.time_seconds * RATE) for f in frames if not f.damaged)


def test_a_fragmented_mp4_that_was_cut_off(media: Media) -> None:
    """It declares no length; the list of the fragment that the cut went through tells."""
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    whole = media.video("a.mp4", frames=250, options={"g": "100"}, container_options=options)
    assert read(whole)[1].coverage == 1.0
    content = whole.read_bytes()
    frames, report = read(written(media, "cut.mp4", content[: len(content) // 2]))
    assert 0.3 < report.coverage < 0.7
    assert all(number_in(frame.image) == round(frame.time_seconds * RATE) for frame in frames)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.flv"])
@pytest.mark.parametrize("gop", [25, 1000])
@pytest.mark.parametrize("how", ["overwritten", "zeroed", "a few bytes"])
def test_damage_in_the_middle(media: Media, name: str, gop: int, how: str) -> None:
    """It costs coverage; frames before it and after the next keyframe are what they claim to be."""
    content = bytearray(media.video(name, frames=250, options={"g": str(gop)}).read_bytes())
    start, end = int(0.4 * len(content)), int(0.6 * len(content))
    if how == "a few bytes":
        for at in range(start, end, (end - start) // 8):
            content[at] ^= 0xFF
    else:
        content[start:end] = bytes(end - start) if how == "zeroed" else Random(1).randbytes(end - start)
    frames, report = read(written(media, f"damaged_{name}", bytes(content)))
    assert 0.2 < report.coverage < 0.95
    for frame in frames[: len(frames) // 4]:
        assert not frame.damaged
        assert number_in(frame.image) == round(frame.time_seconds * RATE)
    if gop == 25:
        assert number_in(frames[-1].image) == round(frames[-1].time_seconds * RATE)


@pytest.mark.parametrize("counted", [16, 32, 48, 64, 80, 96, 112])
def test_what_a_transport_streams_counters_do_not_show(media: Media, counted: int) -> None:
    """They count to 16: where that many packets are lost, nothing after the loss seems to be missing."""
    content = bytearray(media.video("a.ts", frames=250, options={"g": "1000"}).read_bytes())
    first = 188 * int(0.4 * len(content) / 188)
    end, lost = first, 0
    while lost < counted:
        lost += bytes(content[end + 1 : end + 3]) in {b"\x01\x00", b"\x41\x00"}  # the pictures' PID
        end += 188
    content[first:end] = bytes(end - first)
    frames, report = read(written(media, "damaged.ts", bytes(content)))
    assert report.coverage < 0.7
    assert all(number_in(f.image) == round(f.time_seconds * RATE) for f in frames if not f.damaged)


@pytest.mark.parametrize("seed", range(12))
def test_damage_anywhere_is_survived(media: Media, seed: int) -> None:
    random = Random(seed)
    name = random.choice(["a.mp4", "a.mkv", "a.ts", "a.flv", "a.avi"])
    codec = "mpeg4" if name.endswith("avi") else random.choice(["libx264", "libx264", "mpeg4"])
    if name.endswith("flv"):
        codec = "flv"
    content = bytearray(media.video(name, frames=40, codec=codec).read_bytes())
    for _ in range(random.choice([1, 20, 300])):
        content[random.randrange(len(content))] = random.randrange(256)
    try:
        frames, report = read(written(media, f"damaged_{name}", bytes(content)))
    except InputError as error:
        assert str(error)
    else:
        assert len(frames) == report.taken
        assert 0.0 <= report.coverage <= 1.0


def huge_parameter_set() -> bytes:
    """An H.264 sequence parameter set (baseline) of 1024 x 1024 macroblocks, bit by bit."""
    bits = "01000010" + "11000000" + "00110100"  # profile, constraints, level
    bits += "1" + "1" + "011" + "010" + "0"  # id, frame numbers, order of pictures, references, no gaps
    bits += 2 * f"{'0' * 10}{1024:b}"  # width and height, less one
    bits += "1" + "1" + "0" + "0" + "1"  # whole frames, direct inference, no cropping, no hints, stop
    return int(bits + "0" * (-len(bits) % 8), 2).to_bytes(-(-len(bits) // 8), "big")


def test_a_header_that_promises_too_many_pixels(media: Media) -> None:
    """Refused by what the header says: a decoder that tried would not get past its memory limit."""
    content = bytearray(media.video("a.mp4", frames=2).read_bytes())
    entry = content.index(b"avc1", content.index(b"stsd"))
    content[entry + 28 : entry + 32] = struct.pack(">HH", 16384, 16384)
    length_at = content.index(b"avcC", entry) + 10
    length = int.from_bytes(content[length_at : length_at + 2], "big")
    content[length_at + 3 : length_at + 2 + length] = huge_parameter_set().ljust(length - 1, b"\0")
    with pytest.raises(MediaTooLarge, match=r"16384 x 16384 pixels.*MAX_PIXELS"):
        read(written(media, "huge.mp4", bytes(content)), memory_bytes=700 * 1024**2)


@pytest.mark.parametrize(
    ("codec", "name"), [("mpeg4", "a.mp4"), ("flv", "a.flv"), ("wmv2", "a.wmv"), ("msmpeg4v3", "a.avi")]
)
def test_flat_pictures_just_within_the_cap(media: Media, codec: str, name: str) -> None:
    """Their decoders hold rows besides the picture, which libav counts as if they were one."""
    clip = media.video(name, frames=4, codec=codec)
    _, report = read(clip, max_pixels=192 * 128)
    assert report.coverage == 1.0
    with pytest.raises(MediaTooLarge, match=r"192 x 128 pixels.*MAX_PIXELS"):
        read(clip, max_pixels=192 * 127)


def test_a_stream_with_more_pixels_than_its_header_says(media: Media) -> None:
    content = bytearray(media.video("a.mp4", frames=2, size=(640, 480)).read_bytes())
    entry = content.index(b"avc1", content.index(b"stsd"))
    content[entry + 28 : entry + 32] = struct.pack(">HH", 64, 48)
    with pytest.raises(InputError):
        read(written(media, "liar.mp4", bytes(content)), max_pixels=320 * 240)


def test_caps(media: Media) -> None:
    clip = media.video("a.mp4", frames=100)
    with pytest.raises(MediaTooLarge, match=r"duration is 4 s.*MAX_DURATION_SECONDS"):
        read(clip, max_duration_seconds=3)
    with pytest.raises(MediaTooLarge, match=r"192 x 128 pixels.*MAX_PIXELS"):
        read(clip, max_pixels=192 * 127)
    with pytest.raises(MediaTooLarge, match="number of streams is 3"):
        read(media.with_many_streams("many.mkv", 3), max_streams=2)


@pytest.mark.parametrize(
    ("count", "limit", "told"),
    [
        (33, 32, "is 33, above the limit of 32"),
        (20_000, 32, "is 1000 or more, above the limit of 32"),
        (1_101, 1_100, "is 1101, above the limit of 1100"),
        (20_000, 1_100, "is 1102 or more, above the limit of 1100"),
    ],
)
@pytest.mark.parametrize(("name", "write"), [("a.mp4", mp4_of_tracks), ("a.mkv", mkv_of_tracks)])
def test_too_many_tracks_name_the_limit_on_tracks(
    media: Media, name: str, write: Callable[[int], bytes], count: int, limit: int, told: str
) -> None:
    """libav gives up with the word for memory that ran out, long before any has."""
    with pytest.raises(MediaTooLarge, match=f"the number of streams {told}.*MAX_STREAMS"):
        read(written(media, name, write(count)), max_streams=limit)


def test_the_decoder_stops_at_its_budget(media: Media) -> None:
    clip = media.video("a.mp4", frames=200, options={"x264-params": "keyint=1000:bframes=0"})
    frames, report = read(clip, max_decoded_frames=100)
    assert report.decoded_frames == 100
    assert 0 < report.coverage < 0.6
    assert all(number_in(frame.image) == round(frame.time_seconds * RATE) for frame in frames)


@pytest.mark.parametrize(
    ("head", "what"), [(b".RMF\0\0\0\x12", "RealMedia"), (b"YUV4MPEG2 W64 H64 F25:1\n", "Y4M")]
)
def test_media_that_is_not_taken_is_named(media: Media, head: bytes, what: str) -> None:
    with pytest.raises(UnsupportedMedia, match=what):
        read(written(media, "a.bin", head + bytes(1000)))


@pytest.mark.parametrize(
    "head",
    [
        b"OggS\0\2",
        b"\0\0\1\xba\x44",
        b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9",
        b"\0\0\0\x18ftypheic\0\0\0\0",
    ],
)
def test_the_beginning_of_a_format_and_nothing_behind_it(media: Media, head: bytes) -> None:
    with pytest.raises(BrokenMedia):
        read(written(media, "a.bin", head + bytes(1000)))


CONTAINERS = {
    "MP4": ("a.mp4", "libx264", "mp4"),
    "MOV": ("a.mov", "libx264", "mov"),
    "MKV": ("a.mkv", "libx264", "matroska"),
    "WebM": ("a.webm", "libvpx", "webm"),
    "AVI": ("a.avi", "mpeg4", "avi"),
    "FLV": ("a.flv", "flv", "flv"),
    "WMV": ("a.wmv", "wmv2", "asf"),
    "Ogg": ("a.ogv", "libvpx", "ogg"),
    "MPEG-PS": ("a.mpg", "mpeg2video", "mpeg"),
    "raw MPEG-1/2": ("a.m2v", "mpeg2video", "mpeg2video"),
    "raw H.264": ("a.264", "libx264", "h264"),
    "raw H.265": ("a.265", "libx265", "hevc"),
    "DV": ("a.dv", "dvvideo", "dv"),
    "IVF": ("a.ivf", "libvpx", "ivf"),
    "MPEG-TS": ("a.m2ts", "libx264", "mpegts"),
    "MXF": ("a.mxf", "mpeg2video", "mxf"),
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_is_sampled_alike(media: Media, container: str) -> None:
    """Raw streams have no times: their frames come at the rate that the stream says, in order."""
    name, codec, muxer = CONTAINERS[container]
    bare = {"x265-params": "log-level=none:bframes=0"} if codec == "libx265" else {"bf": "0"}
    clip = media.video(
        name,
        frames=60,
        codec=codec,
        container=muxer,
        options={} if codec == "dvvideo" else {**bare, "g": "25", "b": "4M"},
        container_options={"mpegts_m2ts_mode": "1"} if muxer == "mpegts" else {},
        size=(720, 576) if codec == "dvvideo" else (WIDTH, HEIGHT),
    )
    assert sniff(clip.read_bytes()[:HEAD_BYTES], name).name == container
    frames, report = read(clip)
    assert report.coverage == 1.0
    assert len(frames) == 8
    for frame in frames:
        assert number_in(frame.image) == pytest.approx(frame.time_seconds * RATE, abs=1)
    assert frames[-1].time_seconds > 2


def test_no_container_is_left_out() -> None:
    assert set(CONTAINERS) == {each.name for each in SCREENED if each.kind == MediaKind.VIDEO}


@pytest.mark.parametrize("junk", [b"\0" * 100, b"\x47" * 7, Random(2).randbytes(3000)])
def test_a_transport_stream_behind_bytes_of_something_else(media: Media, junk: bytes) -> None:
    whole = media.video("a.ts", frames=100, options={"g": "25"}).read_bytes()
    frames, report = read(written(media, "junk.ts", junk + whole))
    assert report.coverage == 1.0
    assert all(number_in(frame.image) == round(frame.time_seconds * RATE) for frame in frames)


def test_a_codec_that_is_not_taken(media: Media) -> None:
    clip = media.video("a.avi", codec="huffyuv", pixel_format="yuv422p", frames=3)
    with pytest.raises(UnsupportedMedia, match="huffyuv"):
        read(clip)


class Trap:
    """A FIFO and a listening port; knows whether anyone came."""

    def __init__(self, folder: Path) -> None:
        self.fifo = folder / "trap.mp4"
        os.mkfifo(self.fifo)
        # Opening a FIFO for writing waits for someone who opens it for reading.
        self._gate = threading.Thread(target=lambda: os.close(os.open(self.fifo, os.O_WRONLY)), daemon=True)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self.address = self._listener.getsockname()
        self.url = f"http://127.0.0.1:{self.address[1]}/trap.mp4"

    def __enter__(self) -> "Trap":
        self._gate.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        os.close(os.open(self.fifo, os.O_RDONLY | os.O_NONBLOCK))
        self._gate.join(5)

    def sprung(self) -> bool:
        try:
            self._listener.accept()[0].close()
        except TimeoutError:
            return not self._gate.is_alive()
        return True


def test_the_trap_catches_readers(tmp_path: Path) -> None:
    with Trap(tmp_path) as trap:
        assert not trap.sprung()
        os.close(os.open(trap.fifo, os.O_RDONLY | os.O_NONBLOCK))
        trap._gate.join(5)
        assert trap.sprung()


def test_the_trap_catches_connections(tmp_path: Path) -> None:
    with Trap(tmp_path) as trap, socket.create_connection(trap.address):
        assert trap.sprung()


PLAYLISTS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{0}\n#EXTINF:4,\n{1}\n#EXT-X-ENDLIST\n",
    "list.mp4": "#EXTM3U\n#EXTINF:4,\n{1}\n",
    "list.ffconcat": "ffconcat version 1.0\nfile '{0}'\nfile '{1}'\n",
    "list.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    "list.mpd": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
    '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>{1}</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>",
    "list.asx": '<asx version="3.0"><entry><ref href="{1}"/></entry></asx>',
    "list.pls": "[playlist]\nFile1={0}\nFile2={1}\n",
    "list.svg": '<svg xmlns="http://www.w3.org/2000/svg"><image href="{1}"/></svg>',
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_lists_of_other_files_open_nothing(media: Media, name: str) -> None:
    with Trap(media.folder) as trap:
        path = written(media, name, PLAYLISTS[name].format(trap.fifo, trap.url).encode())
        with pytest.raises(NotMedia):
            read(path)
        assert not trap.sprung()


def test_a_movie_that_keeps_its_pictures_in_another_file_opens_nothing(media: Media) -> None:
    """A QuickTime data reference (`alis`) is not followed: the pictures come from this file or not at all."""
    with Trap(media.folder) as trap:
        movie = with_alias(media.video("a.mov", frames=10).read_bytes(), trap.fifo)
        with contextlib.suppress(InputError):
            read(written(media, "alias.mov", movie))
        assert not trap.sprung()


def with_alias(movie: bytes, target: Path) -> bytes:
    """`movie` with its first data reference turned into an alias to `target`."""
    filename = target.name.encode()
    absolute = str(target).encode()
    record = bytes(10) + bytes([3]) + b"vol".ljust(27, b"\0") + bytes(12)
    record += bytes([len(filename)]) + filename.ljust(63, b"\0") + bytes(16)
    record += struct.pack(">HH", 1, 1) + bytes(16)
    record += struct.pack(">HH", 2, len(absolute)) + absolute + bytes(len(absolute) % 2)
    record += struct.pack(">HH", 0xFFFF, 0)
    alias = struct.pack(">I4sI", 12 + len(record), b"alis", 0) + record
    at = movie.index(b"dref") + 12
    old = struct.unpack(">I", movie[at : at + 4])[0]
    changed = bytearray(movie[:at] + alias + movie[at + old :])
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        place = changed.rindex(box, 0, at) - 4
        size = struct.unpack(">I", changed[place : place + 4])[0]
        changed[place : place + 4] = struct.pack(">I", size + len(alias) - old)
    return bytes(changed)
