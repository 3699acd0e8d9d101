"""One of a file's streams of pictures: its packets, and how much of it is there."""

from collections.abc import Sequence
from dataclasses import dataclass

from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from worker.decoder.container.nal_units import PictureReader
from worker.decoder.video.timeline import Timeline

USUAL_RATE = 25  # frames a second, of a stream that does not say
DECLARED_SLACK = 0.5  # seconds by which sound, pictures and header of a whole file may differ
LEAST_SHARE = 1e-3  # a forged header may declare anything
FRAGMENT_SLACK = 0.1  # seconds allowed between one fragment's end and the next one's beginning
FAR_START = 60.0  # seconds between a file's first time and its first frame, beyond which that time is wrong


@dataclass(frozen=True, kw_only=True)
class Container:
    """What one file says about all its streams."""

    listed: bool  # in one index, so every wait is intended
    declared_seconds: float | None  # how long the header says it lasts; None if libav would be guessing
    start_seconds: float  # presentation time at which a player's clock shows zero
    end_seconds: float  # when the last packet of any stream ends
    encrypted: float  # part of it, in [0, 1], where packets do not say so themselves
    silences: Sequence[tuple[float, float]]  # begin and end, in seconds, of what is missing in the sound


class PictureStream:
    """Its packets are listed first, one by one with `add`; after `close` all properties are known."""

    def __init__(self, number: int, stream: VideoStream) -> None:
        """`number` counts the file's streams of pictures from 0."""
        context = stream.codec_context
        self.number = number
        self.index = stream.index  # among all streams of the container
        self.codec = context.codec.canonical_name
        self.aspect = stream.sample_aspect_ratio
        self._stated_rate = stream.average_rate
        tick = float(stream.time_base or 0)
        rate = float(stream.average_rate or USUAL_RATE)
        self.timeline = Timeline(tick, max(1, round(1 / (rate * tick))) if tick else 1)
        self._reader = PictureReader(self.codec, context.extradata)
        self._corrupt = False  # the latest packet was
        self._shown_until = 0  # ticks of decoding time, by the latest packet's duration

    def add(self, packet: "Packet[Stream]", *, missing: bool | None) -> None:
        """List the next packet.

        `missing`: whether something is missing in the file before it; None if only times can tell.
        """
        description, encrypted = None, False
        for side in packet.iter_sidedata():
            if side.data_type == "new_extradata":
                description = bytes(side)
                self._reader = PictureReader(self.codec, description)
            elif side.data_type == "encryption_info":
                encrypted = True
        corrupt, dts = packet.is_corrupt, packet.dts
        if missing is None:  # the one before ends before this one begins
            missing = dts is not None and (dts - self._shown_until) * self.timeline.tick > FRAGMENT_SLACK
        self.timeline.add(
            pts=packet.pts,
            dts=dts,
            key=packet.is_keyframe,
            hidden=packet.is_discard,
            picture=self._reader.read(memoryview(packet)),
            encrypted=encrypted,
            broken=missing or corrupt or self._corrupt,
            description=description,
        )
        self._corrupt = corrupt
        if dts is not None:
            self._shown_until = dts + (packet.duration or 0)

    def close(self, container: Container, declared_packets: int) -> None:
        """No more packets come. `declared_packets`: by the container's own list; 0 where it has none."""
        self.declared_packets = declared_packets
        self.timeline.close()
        if not self.timeline.encrypted:
            self.timeline.encrypted = container.encrypted
        timeline, tick = self.timeline, self.timeline.tick
        # Of the part that is there; a single frame lasts as long as its rate says.
        self.seconds = timeline.span() * tick or 1 / float(self._stated_rate or USUAL_RATE)
        self.rate = float(self._stated_rate or len(timeline.frames) / self.seconds)
        # Presentation time at which a player's clock shows zero, in seconds.
        self.origin = self._origin(container.start_seconds)
        # Fractions in (0, 1]: of the declared, what is there; of that, what was not cut out of its middle
        # and is not encrypted.
        there = min(1.0, len(timeline) / declared_packets) if declared_packets else 1.0
        self.present = there * self._share_of_time(container)
        lost = 0.0 if container.listed else timeline.lost(container.silences)
        self.intact = max((1 - lost) * (1 - timeline.encrypted), LEAST_SHARE)

    def _origin(self, start: float) -> float:
        """The file's first time, unless that is a wrong timestamp that was corrected."""
        timeline = self.timeline
        if timeline.mended and timeline.frames:
            first = timeline.time(timeline.frames[0]) * timeline.tick
            return first if abs(first - start) > FAR_START else start
        return start

    def _share_of_time(self, container: Container) -> float:
        """Against the duration in the header."""
        declared, end = container.declared_seconds, container.end_seconds - container.start_seconds
        slack = max(DECLARED_SLACK, 1.5 * self.timeline.longest() * self.timeline.tick)
        if declared is None or end + slack >= declared:
            return 1.0
        return max(end / declared, LEAST_SHARE)
