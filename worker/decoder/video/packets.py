"""Reads packets by number: by seeking where the file allows it, else by skipping the others."""

from collections.abc import Callable, Iterator

from av.error import FFmpegError
from av.packet import Packet
from av.stream import Discard, Stream

from worker.decoder.container.opening import packets
from worker.decoder.video.file import VideoFile
from worker.decoder.video.picture_stream import PictureStream

# Packets that are cheaper to skip than to seek over.
SKIPPED = 48

# How many seconds before a keyframe to seek to: some containers search by decoding time, some land
# behind the keyframe when asked for its own time.
BACK_OFFS = (0.0, 2.0, 10.0)


class PacketReader:
    """Gives the packets of a listed stream from any keyframe on. One at a time per file."""

    def __init__(
        self, video: VideoFile, pictures: PictureStream, heartbeat: Callable[[], None] = lambda: None
    ) -> None:
        """`heartbeat` is called while packets are read, which can take long on a slow disk."""
        self._video = video
        self._pictures = pictures
        self._heartbeat = heartbeat
        self._source: Iterator[Packet[Stream]] = iter(())
        self._pushed_back: Packet[Stream] | None = None
        self._seekable = not pictures.timeline.spliced
        self.position: int | None = None  # number of the next packet; None before the first move
        self._only_video()

    def read(self) -> "Packet[Stream] | None":
        """The next packet; None where the file ends."""
        packet, self._pushed_back = self._pushed_back, None
        if packet is None:
            self._heartbeat()
            packet = next(self._source, None)
        if packet is not None and self.position is not None:
            self.position += 1
        return packet

    def move_to(self, number: int) -> None:
        """Make keyframe `number` the next packet."""
        if self.position is None or not 0 <= number - self.position <= SKIPPED:
            self._jump(number)
        while self.position is not None and self.position < number:
            if self.read() is None:
                break

    def _jump(self, number: int) -> None:
        """Get to a known position at or before `number`."""
        for back in BACK_OFFS if self._seekable else ():
            if self._seek(number, back):
                return
        if self._seekable or self.position is None or self.position > number:
            self._seekable = False
            self._video.reopen()
            self._only_video()
            self._start(0, None)

    def _seek(self, number: int, back: float) -> bool:
        timeline = self._pictures.timeline
        wanted = timeline.time(number) - round(back / (timeline.tick or 1))
        try:
            self._video.seek(self._pictures, wanted)
        except MemoryError:
            raise
        except (FFmpegError, OverflowError):
            return False
        source = self._packets()
        for packet in source:
            self._heartbeat()
            time = packet.pts if packet.pts is not None else packet.dts
            found = timeline.key_at(time) if packet.is_keyframe and time is not None else None
            if found is not None:
                self._start(found, packet, source)
                return found <= number
        return False

    def _start(
        self, number: int, first: "Packet[Stream] | None", source: Iterator["Packet[Stream]"] | None = None
    ) -> None:
        self.position = number
        self._pushed_back = first
        self._source = source or self._packets()

    def _packets(self) -> "Iterator[Packet[Stream]]":
        return packets(self._video.container, [self._video.stream(self._pictures)])

    def _only_video(self) -> None:
        """Stop reading sound, where the container can tell it apart before reading."""
        for stream in self._video.container.streams:
            stream.discard = Discard.default if stream.index == self._pictures.index else Discard.all
