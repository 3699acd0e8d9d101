"""Decodes the chosen frames of a listed video, exactly and with as little work as possible.

From the keyframe before each sample on, packets go to the decoder in order; pictures that nothing
depends on are left out unless they are samples themselves. If the next sample is in a later GOP, the
decoder is drained and the packets between are skipped. Packets carry their number as timestamp
through the decoder, so that each frame is identified whatever the file's own timestamps look like.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from av.codec.context import CodecContext
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from worker.decoder.protocol import Channel
from worker.decoder.sampling import Sample
from worker.decoder.video.file import VideoFile
from worker.decoder.video.packets import PacketReader
from worker.decoder.video.picture_stream import PictureStream

# A decoder holds back at most 16 frames to put them in order: one whose packet is this much further
# back will not come any more.
LONGEST_DELAY = 32  # packets

# How many keyframes further back decoding starts when a frame does not come although nothing is
# damaged: streams with intra refresh mark keyframes that cannot be decoded alone.
LEADS = (0, 1, 8)


@dataclass(frozen=True, kw_only=True)
class SampledFrame:
    """A decoded sample, not yet converted."""

    index: int  # of the sample
    number: int  # of its packet
    picture: VideoFrame
    seconds: float  # presentation time on a player's clock
    keyframe: bool
    damaged: bool  # the decoder patched it up, or it builds on a frame that was


class SampleDecoder:
    """Decodes `samples` of a stream, in order; those that cannot be decoded are left out."""

    def __init__(
        self,
        video: VideoFile,
        pictures: PictureStream,
        samples: list[Sample],
        *,
        most: int,
        channel: Channel,
    ) -> None:
        """At most `most` packets are decoded; if they do not suffice, the last samples are left out."""
        self.packets_decoded = 0
        self._video = video
        self._pictures = pictures
        self._timeline = pictures.timeline
        self._reader = PacketReader(video, pictures, channel.heartbeat)
        self._decoded = channel.decoded
        self._description: bytes | None = (
            None  # the extradata last given to the decoder; None: the stream's own
        )
        self._described: VideoCodecContext | None = None  # the decoder that was told it
        self._samples = samples
        self._numbers = [self._timeline.frames[sample.frame] for sample in samples]
        self._wanted = frozenset(self._numbers)
        self._firsts = [sample.first for sample in samples]
        self._most = most
        self._given = 0  # samples handed out or given up
        self._found: dict[int, SampledFrame] = {}  # the best for a sample so far
        self._exact: set[int] = set()  # samples whose exact frame was found
        self._lead = 0  # one of LEADS
        self._start: int | None = None  # keyframe from which the decoder was fed; None: it is empty
        self._latest = -1  # highest number that came out since then
        self._error_at = -1  # packet of the latest damage that others depend on

    def __iter__(self) -> Iterator[SampledFrame]:
        for index, number in enumerate(self._numbers):
            if self.packets_decoded >= self._most:
                break
            self._decode_through(number, self._lead)
            if not self._next_continues(index):
                self._empty()
            yield from self._ready(index)
        self._empty()
        yield from self._ready(len(self._samples) - 1)

    def _ready(self, last: int) -> Iterator[SampledFrame]:
        """Hand out the decided samples up to `last`."""
        while self._given <= last and (self._start is None or self._decided(self._given)):
            self._start_earlier(self._given)
            found = self._found.pop(self._given, None)
            self._given += 1
            if found is not None:
                yield found

    def _decided(self, index: int) -> bool:
        return index in self._exact or self._latest > self._numbers[index] + LONGEST_DELAY

    def _next_continues(self, index: int) -> bool:
        """Whether the next sample needs no packet beyond the next one."""
        if index + 1 == len(self._numbers):
            return False
        start = self._timeline.key_before(self._numbers[index + 1], earlier=self._lead)
        return self._reader.position is not None and start < self._reader.position

    def _start_earlier(self, index: int) -> None:
        """If a frame did not come although nothing is damaged, decode from an earlier keyframe."""
        number = self._numbers[index]
        for lead in LEADS:
            damaged = self._timeline.last_key(number) <= self._error_at <= number
            if index in self._found or damaged or self.packets_decoded >= self._most:
                return
            if lead > self._lead:
                self._empty()
                self._decode_through(number, lead)
                self._empty()
                if index in self._found:
                    self._lead = lead

    def _decode_through(self, number: int, lead: int) -> None:
        """Feed the decoder up to and including packet `number`."""
        start = self._timeline.key_before(number, earlier=lead)
        if self._start is None or self._reader.position is None or self._reader.position < start:
            self._empty()
            self._reader.move_to(start)
            self._context.flush_buffers()
            self._start, self._latest = start, -1
        while (self._reader.position or 0) <= number and self.packets_decoded < self._most:
            packet = self._reader.read()
            if packet is None:
                return
            self._decode(packet, (self._reader.position or 0) - 1)

    def _decode(self, packet: "Packet[Stream]", number: int) -> None:
        if packet.is_corrupt:  # the demuxer saw that bytes are missing, maybe whole packets after this one
            self._error_at = number
        if self._timeline.frames_missing_before(number):  # libav does not always notice
            self._error_at = max(self._error_at, number - 1)
        if self._timeline.is_disposable(number) and number not in self._wanted:
            return
        self._describe(number)
        packet.pts, packet.dts = number, None
        self.packets_decoded += 1
        self._put_in(packet, number)

    def _describe(self, number: int) -> None:
        """Have a decoder for packet `number`: a file may change its extradata on the way.

        New extradata comes with one packet only, which may have been skipped.
        """
        description = self._timeline.description(number)
        if description == self._description:
            return
        self._put_in(None, self._latest)
        self._description, self._described = description, None
        if description is None:
            self._context.flush_buffers()
            return
        described = CodecContext.create(self._context.name, "r")
        described.extradata = description
        if isinstance(described, VideoCodecContext):
            self._video.configure(described, self._context.width)
            self._described = described

    def _empty(self) -> None:
        """Take out what the decoder holds back."""
        if self._start is not None:
            self._put_in(None, self._latest)
            self._start = None

    def _put_in(self, packet: "Packet[Stream] | None", number: int) -> None:
        try:
            pictures = self._context.decode(packet)
        except MemoryError:
            raise
        except FFmpegError:
            if packet is not None and not self._timeline.is_disposable(number):
                self._error_at = number
            return
        for picture in pictures:
            self._take_out(picture)

    def _take_out(self, picture: VideoFrame) -> None:
        """Keep a decoded frame if it is a sample or the nearest to one so far."""
        self._decoded(picture.width * picture.height)
        number = picture.pts
        if number is None or not 0 <= number < len(self._timeline):
            return
        if self._timeline.key_before(number) < (self._start or 0):
            return  # it depends on a GOP that was not decoded
        self._latest = max(self._latest, number)
        if picture.is_corrupt and not self._timeline.is_disposable(number):
            self._error_at = number
        index = self._sample_of(number)
        if index is None or index < self._given or index in self._exact:
            return
        exact = number == self._numbers[index]
        held = self._found.get(index)
        if exact or held is None or self._distance(number, index) < self._distance(held.number, index):
            damaged = self._timeline.last_key(number) <= self._error_at <= number
            self._found[index] = SampledFrame(
                index=index,
                number=number,
                picture=picture,
                seconds=max(0.0, self._timeline.time(number) * self._timeline.tick - self._pictures.origin),
                keyframe=self._timeline.is_key(number),
                damaged=damaged or picture.is_corrupt,
            )
        if exact:
            self._exact.add(index)

    def _sample_of(self, number: int) -> int | None:
        """The sample that the frame of packet `number` is, or may stand in for."""
        place = self._timeline.frame_at(self._timeline.time(number))
        index = bisect_right(self._firsts, place) - 1
        return index if index >= 0 and place < self._samples[index].end else None

    def _distance(self, number: int, index: int) -> int:
        return abs(self._timeline.time(number) - self._timeline.time(self._numbers[index]))

    @property
    def _context(self) -> VideoCodecContext:
        return self._described or self._video.stream(self._pictures).codec_context
