"""Reads just enough of a compressed picture to know whether others depend on it.

A picture that no other depends on is decoded only if it is wanted itself; in ordinary H.264 that is
every second one. The rules are those of ITU-T H.264 (7.4.1, `nal_ref_idc`) and
H.265 (7.4.2.2, sub-layer non-reference pictures), and RFC 6386 (9.1) for VP8's `show_frame`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

LOOKED_AT = 64 * 1024  # bytes; parameter sets and messages before the first slice are far smaller
H265_SLICE_TYPES = range(32)
H265_NON_REFERENCE = frozenset({0, 2, 4, 6, 8, 10, 12, 14})  # TRAIL_N, TSA_N, STSA_N, RADL_N, RASL_N, …
H264_SLICE_TYPES = frozenset({1, 2, 5})  # coded slice, data partition A, IDR slice


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What one packet says about its picture."""

    shown: bool = True  # False: the packet puts nothing on the screen
    disposable: bool = False  # nothing of the same layer depends on it
    layer: int = 0  # temporal layer; a disposable picture may still serve a higher one


WHOLE = Picture()
HIDDEN = Picture(shown=False)
DISPOSABLE = Picture(disposable=True)


class PictureReader:
    """Reads packets of one stream; all pictures of an unknown codec must be decoded."""

    def __init__(self, codec: str, extradata: bytes | None) -> None:
        self._codec = codec
        self._length_size = _length_size(codec, extradata or b"")

    def read(self, packet: memoryview) -> Picture:
        if self._codec == "vp8":
            return WHOLE if packet and packet[0] & 0x10 else HIDDEN
        if self._codec == "h264":
            return self._read_h264(packet)
        if self._codec == "hevc":
            return self._read_h265(packet)
        return WHOLE

    def _read_h264(self, packet: memoryview) -> Picture:
        for unit in self._units(packet):
            if unit and unit[0] & 0x1F in H264_SLICE_TYPES:
                return WHOLE if unit[0] & 0x60 else DISPOSABLE
        return WHOLE

    def _read_h265(self, packet: memoryview) -> Picture:
        for unit in self._units(packet):
            kind = (unit[0] >> 1) & 0x3F if len(unit) > 1 else -1
            if kind in H265_SLICE_TYPES:
                return Picture(disposable=kind in H265_NON_REFERENCE, layer=max((unit[1] & 7) - 1, 0))
        return WHOLE

    def _units(self, packet: memoryview) -> Iterator[memoryview | bytes]:
        """The first bytes of each NAL unit."""
        if self._length_size:
            at = 0
            while at + self._length_size < len(packet):
                length = int.from_bytes(packet[at : at + self._length_size], "big")
                at += self._length_size
                yield packet[at : at + min(length, 2)]
                at += length
            return
        head = bytes(packet[:LOOKED_AT])
        at = head.find(b"\0\0\1")
        while at >= 0:
            yield head[at + 3 : at + 5]
            at = head.find(b"\0\0\1", at + 3)


def _length_size(codec: str, extradata: bytes) -> int:
    """Bytes of the length before each NAL unit; 0 where start codes separate them (Annex B)."""
    if codec == "h264" and len(extradata) > 6 and extradata[0] == 1:
        return (extradata[4] & 3) + 1
    if codec == "hevc" and len(extradata) > 22 and extradata[0] == 1:
        return (extradata[21] & 3) + 1
    return 0
