"""Pictures that nobody without the key can look at: said to be encrypted, not taken for damaged."""

from pathlib import Path

import pytest

from core.errors import Encrypted
from core.settings import DecodeSettings, SamplingSettings
from tests.media import Media
from worker.decoder.container.nal_units import WHOLE
from worker.decoder.container.scrambling import scrambled_share
from worker.decoder.reader import DecodeReport, VideoReader
from worker.decoder.video.timeline import Timeline

KEYS = {
    "encryption_scheme": "cenc-aes-ctr",
    "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
    "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
}
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}


def read(path: Path) -> DecodeReport:
    with VideoReader(path, DecodeSettings(), SamplingSettings(), name=path.name) as reader:
        assert list(reader)
    assert reader.report is not None
    return reader.report


def refused(media: Media, name: str, content: bytes) -> None:
    path = media.folder / name
    path.write_bytes(content)
    with pytest.raises(Encrypted, match="without the key"):
        read(path)


@pytest.mark.parametrize("options", [{}, FRAGMENTS])
@pytest.mark.parametrize("scheme", [b"cenc", b"cbcs"])
def test_common_encryption(media: Media, options: dict[str, str], scheme: bytes) -> None:
    content = media.video("a.mp4", frames=20, container_options=KEYS | options).read_bytes()
    assert b"schm\0\0\0\0cenc" in content
    refused(media, "drm.mp4", content.replace(b"schm\0\0\0\0cenc", b"schm\0\0\0\0" + scheme))


def test_a_sample_entry_that_is_encrypted_and_says_no_more(media: Media) -> None:
    """Without the auxiliary boxes libav takes the packets for clear ones."""
    content = media.video("a.mp4", frames=20, container_options=KEYS).read_bytes()
    for kind in (b"senc", b"saiz", b"saio"):
        content = content.replace(kind, b"free")
    refused(media, "drm.mp4", content)


def test_matroska_content_encryption(media: Media) -> None:
    title = "x" * 40
    path = media.video("a.mkv", codec="libvpx", frames=20, metadata={"title": title})
    name = b"\x53\x6e\xa8" + title.encode()
    encryption = b"\x50\x35\x85" + b"\x47\xe1\x81\x05" + b"\xec"  # AES, and one byte of nothing
    encoding = b"\x50\x33\x81\x01" + encryption + b"\x80"
    element = b"\x6d\x80" + bytes([0x80 + 3 + len(encoding)]) + b"\x62\x40" + bytes([0x80 + len(encoding)])
    element += encoding
    element += b"\xec" + bytes([0x80 + len(name) - len(element) - 2])
    content = path.read_bytes()
    assert content.count(name) == 1
    refused(media, "drm.mkv", content.replace(name, element.ljust(len(name), b"\0")))


def scrambled(content: bytes, part: float) -> bytes:
    """A transport stream of which the pictures' packets are scrambled in the last `part`."""
    made = bytearray(content)
    for at in range(188 * round((1 - part) * len(made) / 188), len(made), 188):
        pid = (made[at + 1] & 0x1F) << 8 | made[at + 2]
        if pid == 0x100 and made[at + 3] & 0x10:
            start = at + 4 + (1 + made[at + 4] if made[at + 3] & 0x20 else 0)
            made[at + 3] |= 0x80
            made[start : at + 188] = bytes(byte ^ 0xA5 for byte in made[start : at + 188])
    return bytes(made)


def test_a_scrambled_transport_stream(media: Media, tmp_path: Path) -> None:
    clip = media.video("a.ts", frames=100, options={"g": "25"})
    content = clip.read_bytes()
    refused(media, "pay.ts", scrambled(content, 1.0))
    with clip.open("rb") as file:
        file.seek(5)
        assert scrambled_share(file) == 0.0
        assert file.tell() == 5
    half = tmp_path / "half.ts"
    half.write_bytes(scrambled(content, 0.4))
    report = read(half)
    assert report.coverage < 0.8
    assert len(report.unseen) == 1
    assert 0.3 < int(report.unseen[0][:2]) / 100 < 0.5


@pytest.mark.parametrize("content", [b"", b"\x47", bytes(1000), b"\x47" * 1000])
def test_what_is_no_transport_stream_is_not_scrambled(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    with path.open("rb") as file:
        assert scrambled_share(file) in {0.0, 1.0}


def test_encrypted_packets_are_no_frames_to_look_at() -> None:
    """A film whose beginning is clear, as streaming services have it."""
    made = Timeline(1 / 25)
    for number in range(10):
        made.add(pts=number, dts=number, key=True, hidden=False, picture=WHOLE, encrypted=number >= 6)
    made.close()
    assert made.frames == list(range(6))
    assert made.encrypted == pytest.approx(0.4)
