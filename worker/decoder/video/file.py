"""A stranger's video: codecs and limits are checked, then all streams of pictures listed in one pass."""

import re
from collections.abc import Callable, Sequence
from typing import BinaryIO

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from core.errors import BrokenMedia, Encrypted, InputError, MediaTooLarge, NoVideoStream, UnsupportedMedia
from core.media_formats import CODECS
from core.media_signatures import HEAD_BYTES
from worker.decoder.container import dolby_vision
from worker.decoder.container.gaps import Gaps
from worker.decoder.container.mp4_boxes import Mp4Boxes
from worker.decoder.container.opening import MediaBytes, log_of_opening, open_container, packets
from worker.decoder.container.scrambling import scrambled_share
from worker.decoder.container.transport_packets import find_holes
from worker.decoder.protocol import Request, too_many_pixels
from worker.decoder.video.picture_stream import Container, PictureStream

MOST_PACKETS = 4_000_000  # listed of the video stream: six hours at 180 frames a second
ALIVE_EVERY = 64  # packets between heartbeats; packets of 8K are large, and disks may be slow
MOST_PICTURES = 8  # streams of pictures that are screened: they share the samples
MOST_ENCRYPTED = 0.5  # fraction of the pictures; beyond it the file counts as encrypted

# Streams of pictures that are not video.
COVERS = Disposition.attached_pic | Disposition.timed_thumbnails

# libav's decoders that allocate rows for edges beside the picture, and count them against the limit on
# pixels: flat pictures below the limit would seem to exceed it.
SCRATCHING = frozenset(
    (
        "mpeg4",
        "h263",
        "flv1",
        "msmpeg4v2",
        "msmpeg4v3",
        "wmv1",
        "wmv2",
        "wmv3",
        "vc1",
        "mpeg1video",
        "mpeg2video",
    )
)
SCRATCH_ROWS, SCRATCH_COLUMNS = 280, 256  # the latter beyond the picture's width, at most

# Matroska's ContentEncodingType 1: encryption.
MATROSKA_ENCRYPTION = re.compile(rb"\x50\x33\x81\x01")


class VideoFile:
    """An opened video whose packets are listed, stream by stream, in `pictures`."""

    def __init__(self, file: BinaryIO, request: Request, heartbeat: Callable[[], None]) -> None:
        """Open `file`, check it against the caps and list its packets; nothing is decoded.

        Raises EmptyFile, NotMedia, UnsupportedMedia, NoVideoStream, Encrypted, MediaTooLarge or BrokenMedia
        if there is no stream of pictures to screen.
        """
        self._file = MediaBytes(file)
        self._request = request
        self._head = file.read(HEAD_BYTES)  # a container also says in it how long it is
        self._refusals: list[tuple[int, InputError]] = []  # streams that cannot be screened, and why
        self.unseen: list[str] = []  # what will not be screened, in words
        self.container = self._open()
        self._boxes = Mp4Boxes(file, self.format == "mov")
        scrambled = self._check_encryption(file)
        self._holes = find_holes(file, heartbeat) if self.format == "mpegts" else []
        pictures = self._choose()
        self._list_packets(pictures, scrambled, heartbeat)
        self._file.check()
        self.pictures = self._check(pictures)

    @property
    def format(self) -> str:
        """libav's first name of the container."""
        return self.container.format.name.split(",")[0]

    @property
    def refused(self) -> int:
        """How many streams of pictures will not be screened."""
        return len(self._refusals)

    def stream(self, pictures: PictureStream) -> VideoStream:
        """libav's side of it; another one after `reopen`."""
        return next(stream for stream in self.container.streams.video if stream.index == pictures.index)

    def seek(self, pictures: PictureStream, time: int) -> None:
        """Go to the keyframe at or before `time`, in ticks, as near as the container can."""
        self.container.seek(time, stream=self.stream(pictures))

    def reopen(self) -> None:
        """Start over at the first byte, for a file in which seeking does not work."""
        self.container.close()
        self.container = self._open()

    def configure(self, context: VideoCodecContext, width: int) -> None:
        """Limit what a decoder may do, before it is opened. `width` of its pictures, if known."""
        # Threads within a frame only: threads across frames hold back more frames, and have been seen to
        # hang on leaving early.
        context.thread_type = "SLICE"
        context.thread_count = self._request.threads
        context.options = {"max_pixels": str(self._room(context.codec.canonical_name, width))}

    def _open(self) -> InputContainer:
        self._file.seek(0)
        container = open_container(self._file, self._head, self._request)
        for stream in container.streams.video:
            if stream.codec_context:
                self.configure(stream.codec_context, stream.codec_context.width)
        return container

    def _room(self, codec: str, width: int) -> int:
        """Pixels that a decoder may allocate at once: for a picture, or its own working memory."""
        scratch = SCRATCH_ROWS * (width + SCRATCH_COLUMNS) if codec in SCRATCHING else 0
        return max(self._request.max_pixels, scratch)

    def _check_encryption(self, file: BinaryIO) -> float:
        """The fraction, in [0, 1], of the file that is marked as encrypted.

        Raises Encrypted if that is most of it.
        """
        share, scheme = 0.0, ""
        if self.format == "mpegts":
            share, scheme = scrambled_share(file), "scrambled transport stream"
        elif self.format == "matroska" and MATROSKA_ENCRYPTION.search(self._head):
            share, scheme = 1.0, "Matroska content encryption"
        if share > MOST_ENCRYPTED:
            raise Encrypted(name=self._request.name, scheme=scheme)
        return share

    def _choose(self) -> list[PictureStream]:
        """The streams of pictures to screen, without cover pictures and thumbnails."""
        videos = [stream for stream in self.container.streams.video if not stream.disposition & COVERS]
        if not videos:
            others = {stream.type for stream in self.container.streams if stream.type != "video"}
            raise NoVideoStream(
                name=self._request.name, streams=" and ".join(sorted(others)) or "a cover picture"
            )
        chosen: list[PictureStream] = []
        for number, stream in enumerate(videos):
            try:
                self._check_stream(stream)
                if len(chosen) >= MOST_PICTURES:
                    quantity = "the number of video streams"
                    raise _too_large(self._request, quantity, len(videos), MOST_PICTURES, "")
                chosen.append(PictureStream(number, stream))
            except InputError as error:
                self._refusals.append((number, error))
        return chosen

    def _check_stream(self, stream: VideoStream) -> None:
        context = stream.codec_context
        codec = context.codec.canonical_name if context else "of its pictures"
        if codec not in CODECS:
            raise UnsupportedMedia(name=self._request.name, reason=f"the codec {codec}")
        profile = self._boxes.dolby_vision.get(stream.id)
        if self.format == "matroska" and codec in dolby_vision.CODECS:
            profile = dolby_vision.profile_in_matroska(self._head)
        if profile is not None:
            reason = f"Dolby Vision of profile {profile}, which has no picture that other players show,"
            raise UnsupportedMedia(name=self._request.name, reason=reason, remedy=dolby_vision.REMEDY)
        width, height = context.width, context.height
        if width * height == 0:
            width, height = self._refused_size(stream)
        if width * height > self._request.max_pixels:
            raise too_many_pixels(self._request, f"{width} x {height} pixels")

    def _refused_size(self, stream: VideoStream) -> tuple[int, int]:
        """The size of a frame that libav refused, from the container or from libav's log."""
        self._file.seek(0)
        with open_container(self._file, self._head, self._request, decoding=False) as container:
            context = container.streams.video[stream.container.streams.video.index(stream)].codec_context
            if context is not None and context.width * context.height > 0:
                return context.width, context.height
        # The log does not tell streams apart: if several were refused, the largest is named.
        found = re.findall(r"size (\d+)x(\d+)", log_of_opening(self._file, self._head, self._request))
        sizes = [(int(width), int(height)) for width, height in found]
        return max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))

    def _list_packets(
        self, pictures: Sequence[PictureStream], scrambled: float, heartbeat: Callable[[], None]
    ) -> None:
        streams = list(self.container.streams)
        # Floats, once per stream: fractions are exact, but take as long as the rest of the loop.
        ticks = [float(stream.time_base or 0) for stream in streams]
        sound = {stream.index for stream in streams if stream.type == "audio"}
        listed = {each.index: each for each in pictures}
        gaps, end = Gaps(self.format, self._boxes, self._holes), 0.0
        for count, packet in enumerate(packets(self.container, streams)):
            if count % ALIVE_EVERY == 0:
                heartbeat()
            index = packet.stream_index
            time = packet.pts if packet.pts is not None else packet.dts
            if time is not None:
                start, until = time * ticks[index], (time + (packet.duration or 0)) * ticks[index]
                end = max(end, until)
                if index in sound:
                    gaps.hear(start, until)
            missing = gaps.before(packet)
            if index in listed:
                if count >= MOST_PACKETS:
                    raise _too_large(self._request, "the number of frames", count, MOST_PACKETS, "")
                listed[index].add(packet, missing=missing)
        known = Container(
            listed=self.format == "mov" and not self._boxes.fragmented,
            declared_seconds=self._declared_seconds(pictures),
            start_seconds=(self.container.start_time or 0) / av.time_base,
            end_seconds=end,
            silences=gaps.silences,
            encrypted=1.0 if self._boxes.encrypted_entry else scrambled,
        )
        for each in pictures:
            entries = len(self.stream(each).index_entries) if self.format == "mov" else 0
            each.close(known, entries)

    def _check(self, pictures: Sequence[PictureStream]) -> list[PictureStream]:
        """The listed streams that can be screened. Raises an InputError if there are none."""
        good = []
        for each in pictures:
            error = self._reason_against(each)
            if error is not None:
                self._refusals.append((each.number, error))
            elif each.timeline.encrypted > 0:
                self.unseen.append(f"{each.timeline.encrypted:.0%} of video stream {each.number} (encrypted)")
            if error is None:
                good.append(each)
        if not good:
            raise self._refusals[0][1]
        # A track that was declared but never written holds nothing to screen.
        empty = {each.number for each in pictures if not each.timeline.frames and not each.declared_packets}
        self._refusals = [(number, error) for number, error in self._refusals if number not in empty]
        self.unseen += [f"video stream {number} ({short(error)})" for number, error in self._refusals]
        return good

    def _reason_against(self, pictures: PictureStream) -> InputError | None:
        name = self._request.name
        if not pictures.timeline:
            return BrokenMedia(name=name, reason="there is no packet of video in it")
        if pictures.timeline.encrypted > MOST_ENCRYPTED:
            return Encrypted(name=name, scheme="Common Encryption (DRM)")
        seconds, most = pictures.timeline.busy_seconds(), self._request.max_duration_seconds
        if seconds > most:
            setting = "FACEWARDEN_DECODE__MAX_DURATION_SECONDS"
            return _too_large(self._request, "the duration", f"{seconds:.0f} s", f"{most:.0f} s", setting)
        return None

    def _declared_seconds(self, pictures: Sequence[PictureStream]) -> float | None:
        """How long the header says the file lasts; None if libav would only be guessing."""
        if self.format == "avi":
            streams = [self.stream(each) for each in pictures]
            return max(
                (float(each.frames * each.time_base) for each in streams if each.time_base), default=None
            )
        said = {
            "mov": b"moov" in self._head and b"mvex" in self._head,  # fragments: there is no complete list
            "matroska": re.search(rb"\x44\x89[\x84\x88]", self._head) is not None,
            "flv": b"duration" in self._head,
        }
        if self.container.duration is None or not said.get(self.format, False):
            return None
        return self.container.duration / av.time_base


def short(error: InputError) -> str:
    """Why a stream is not screened, without the file's name and the remedy."""
    if isinstance(error, MediaTooLarge):
        return f"{error.fields['quantity']} is {error.fields['value']}"
    if isinstance(error, Encrypted):
        return "encrypted"
    return str(error.fields.get("reason", error.code))


def _too_large(request: Request, quantity: str, value: object, limit: object, setting: str) -> MediaTooLarge:
    return MediaTooLarge(name=request.name, quantity=quantity, value=value, limit=limit, setting=setting)
