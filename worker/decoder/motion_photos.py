"""Motion Photos: a picture followed by a short video; both are screened.

The picture is the file's stream 0, the video's streams follow. Runs in the decoder process, after
`worker.decoder.sandbox.lockdown.lock_down`; imported only for a file that needs both libraries.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from io import BufferedReader, FileIO

from core.errors import InputError, TooCostly
from worker.decoder.container.appended_videos import MOST_VIDEOS, AppendedVideo, picture_end
from worker.decoder.protocol import Channel, Decoded, FrameHeader, Request
from worker.decoder.stills.decoding import StillFile, send_still
from worker.decoder.video.decoding import VideoSamples, open_samples
from worker.decoder.video.file import short


class _Behind:
    """The channel of one video's frames: they are numbered after those before it."""

    def __init__(self, channel: Channel, *, first_index: int, first_stream: int) -> None:
        self.heartbeat, self.decoded = channel.heartbeat, channel.decoded
        self._send_frame = channel.send_frame
        self._first_index, self._first_stream = first_index, first_stream

    def send(self, kind: str, **fields: object) -> None:
        """The probe was already sent with the picture."""

    def send_frame(self, frame: FrameHeader, write: Callable[[memoryview], None]) -> None:
        index, stream = frame.index + self._first_index, frame.stream + self._first_stream
        self._send_frame(replace(frame, index=index, stream=stream), write)


class MotionPhoto:
    """A picture and the videos behind it."""

    def __init__(self, file: FileIO, request: Request, channel: Channel, starts: Sequence[int]) -> None:
        """Open all of them; `starts` are the videos' first bytes.

        Raises an InputError if the picture cannot be read. A broken video does not stop the rest.
        """
        self._channel = channel
        self._unseen: list[str] = []
        self._videos: list[VideoSamples] = []
        content = file.read(starts[0])
        self._still = StillFile(content[: picture_end(content, starts[0])], request, channel)
        for number, start in enumerate(starts):
            if number >= MOST_VIDEOS:
                self._unseen.append(f"appended videos beyond {MOST_VIDEOS}")
                break
            try:
                self._videos.append(
                    open_samples(BufferedReader(AppendedVideo(file, start)), request, channel)
                )
            except TooCostly:
                raise
            except InputError as error:
                self._pass_over(error)

    def send(self) -> Decoded:
        """Hand over the picture, then the samples of the videos."""
        beside = sum(video.expected for video in self._videos) + len(self._unseen)
        codecs = [codec for video in self._videos for codec in video.codecs]
        still = send_still(self._still, self._channel, beside=beside, codecs=codecs)
        frames, first_index, first_stream = still.frames, self._still.count, 1
        for video in self._videos:
            behind = _Behind(self._channel, first_index=first_index, first_stream=first_stream)
            first_index, first_stream = first_index + video.planned, first_stream + video.streams
            try:
                given = video.send(behind)
            except TooCostly:
                raise
            except InputError as error:
                self._pass_over(error)
            else:
                frames += given.frames
                self._unseen += [f"{words} of the appended video" for words in given.unseen]
        return Decoded(frames=frames, unseen=(*still.unseen, *self._unseen))

    def _pass_over(self, error: InputError) -> None:
        self._unseen.append(f"the appended video ({short(error)})")


def decode_motion_photo(
    file: FileIO, request: Request, channel: Channel, *, starts: Sequence[int]
) -> Decoded:
    """Hand over the picture in `file` and the samples of the MP4s that begin at `starts`.

    Raises an InputError where there is no picture to hand over.
    """
    return MotionPhoto(file, request, channel, starts).send()
