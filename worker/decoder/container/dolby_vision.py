"""Which tracks are Dolby Vision without a picture that anything else can show.

Profile 5 of HEVC, and 10 and 20 without a compatible base layer, use colours of their own (IPT-PQ-c2), which
look green and purple to anything that ignores Dolby's metadata. In all other profiles the base layer is
HDR10, HLG or SDR, and is screened as such. libav reads the configuration record, but PyAV does not expose it.
"""

import re
import struct

OWN_COLOURS = frozenset({5, 10, 20})  # profiles that may be without a compatible base layer
CODECS = frozenset({"hevc", "av1"})  # in which they come
REMEDY = (
    "Export it as HDR10, HLG or SDR with the program that made it, or convert it with FFmpeg's libplacebo."
)

# The configuration record is a box of an MP4's sample description, or the extra data (41ED) of a mapping in
# Matroska that has the same name as its type (41E7).
IN_MP4 = re.compile(rb"dv[cvw]C(.{5})", re.S)
IN_MATROSKA = re.compile(rb"\x41\xe7\x84dv[cvw]C(?:.{0,8}?)\x41\xed.{1,8}?(\x01\x00.{3}|\x02\x00.{3})", re.S)

MOST_BOXES = 10_000  # directly in an MP4's index: its tracks are among them


def tracks_in_mp4(index: bytes) -> dict[int, int]:
    """The profile of each such track by its identifier; `index` is the `moov` with its header."""
    found = {}
    for start, end in _boxes(index, b"trak", 8, len(index)):
        profile = _profile(IN_MP4, _description(index[start:end]))
        header = index.find(b"tkhd", start, end)
        if profile is None or not 0 <= header < end - 24:
            continue
        long = index[header + 4] == 1  # its version: times of 64 bits
        (track,) = struct.unpack_from(">I", index, header + (24 if long else 16))
        found[track] = profile
    return found


def profile_in_matroska(head: bytes) -> int | None:
    """Of the first such track."""
    return _profile(IN_MATROSKA, head)


def _profile(pattern: re.Pattern[bytes], content: bytes) -> int | None:
    for match in pattern.finditer(content):
        _, _, bits, compatibility = struct.unpack(">2BHB", match[1])
        if bits >> 9 in OWN_COLOURS and compatibility >> 4 == 0:
            return int(bits >> 9)
    return None


def _description(track: bytes) -> bytes:
    at = track.find(b"stsd")
    return track[at : at + int.from_bytes(track[at - 4 : at], "big")] if at >= 4 else b""


def _boxes(content: bytes, kind: bytes, at: int, end: int) -> list[tuple[int, int]]:
    """Where the boxes of one kind begin and end."""
    found = []
    for _ in range(MOST_BOXES):
        if at + 8 > end:
            break
        size, name = struct.unpack_from(">I4s", content, at)
        if size < 8:
            break
        if name == kind:
            found.append((at, min(at + size, end)))
        at += size
    return found
