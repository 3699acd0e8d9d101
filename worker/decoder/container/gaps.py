"""Where something is missing in a file: bytes between packets that belong to none, jumps in the numbers of
fragments, sound that stops.

A wait between two frames is a hole only where one of these is found; see `worker.decoder.video.timeline`.
"""

from bisect import bisect_left
from collections.abc import Sequence

from av.packet import Packet
from av.stream import Stream

from worker.decoder.container.mp4_boxes import Mp4Boxes

# More bytes between two packets, container headers included, than any intact file has (an AVI marks each
# dropped frame), and how many times the usual number that must be: some files have much between packets.
STRANGE_BYTES = {"matroska": 64, "flv": 64, "avi": 16 * 1024}
STRANGE_TIMES = 4

RUNNING = 16  # packets over which the mean runs

SHORTEST_SILENCE = 0.75  # seconds; no codec pauses for so long
LONGEST_SILENCE = 600.0  # seconds; a longer leap is a wrong timestamp
MOST_SILENCES = 10_000  # kept; a hostile file may have as many as packets


class Gaps:
    """Is given every packet of a file, in file order."""

    def __init__(self, demuxer: str, boxes: Mp4Boxes, holes: Sequence[int] = ()) -> None:
        """`demuxer` is libav's name of it; `holes` are places in the file that are known before."""
        self.silences: list[tuple[float, float]] = []  # begin and end, in seconds, ascending
        self._strange = STRANGE_BYTES.get(demuxer)
        self._exclusive = demuxer == "flv"
        self._boxes = boxes
        self._holes = holes  # bytes from the beginning, ascending
        self._covered: int | None = None  # bytes up to the end of the furthest packet so far
        self._usual = 0.0  # bytes between two packets, a running mean
        self._breaks = 0  # so far
        self._known: dict[int, int] = {}  # how many of them there were at a stream's latest packet
        self._sound_end: float | None = None  # seconds

    def before(self, packet: "Packet[Stream]") -> bool | None:
        """Whether something is missing between this packet and the one before it in its stream.

        None if only the fragments' times can tell.
        """
        place = packet.pos
        if self._boxes.fragmented:
            return None if place is None else self._boxes.missing_before(place)
        if place is not None and self._holes:
            self._breaks = bisect_left(self._holes, place)
            return self._counts(packet)
        if self._strange is None or place is None:
            return False
        if self._covered is not None:
            between = place - self._covered
            # In FLV no packet is inside another; one that seems to be has lost its header to a hole.
            if between > max(self._strange, STRANGE_TIMES * self._usual) or (between < 0 and self._exclusive):
                self._breaks += 1
            else:
                self._usual += (between - self._usual) / RUNNING
        self._covered = max(self._covered or 0, place + packet.size)
        return self._counts(packet)

    def _counts(self, packet: "Packet[Stream]") -> bool:
        """Whether there was a break since the stream's latest packet."""
        known = self._known.get(packet.stream_index, self._breaks)
        self._known[packet.stream_index] = self._breaks
        return known != self._breaks

    def hear(self, start: float, end: float) -> None:
        """There is sound from `start` to `end`, in seconds."""
        latest = self._sound_end
        if latest is None:
            self._sound_end = end
        elif start - latest <= LONGEST_SILENCE:
            if start - latest > SHORTEST_SILENCE and len(self.silences) < MOST_SILENCES:
                self.silences.append((latest, start))
            self._sound_end = max(latest, end)
