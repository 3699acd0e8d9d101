"""A video, from its first byte to its last sample, inside the decoder process."""

from dataclasses import dataclass
from functools import partial
from io import FileIO
from math import ceil, inf
from typing import BinaryIO

import av.logging

from core.errors import BrokenMedia
from worker.decoder.protocol import Channel, Decoded, FrameHeader, Request
from worker.decoder.sampling import Sample, expected_samples, plan_samples
from worker.decoder.video.conversion import Converter, orientation
from worker.decoder.video.file import VideoFile
from worker.decoder.video.picture_stream import PictureStream
from worker.decoder.video.samples import SampleDecoder, SampledFrame


def decode_video(file: FileIO, request: Request, channel: Channel) -> Decoded:
    """Hand over the samples of the video in `file`.

    Raises an InputError if there is no frame to hand over.
    """
    return open_samples(file, request, channel).send(channel)


def open_samples(file: BinaryIO, request: Request, channel: Channel) -> "VideoSamples":
    """List the video in `file` and choose its samples; nothing is decoded.

    Raises an InputError if there is no stream of pictures to screen.
    """
    av.logging.set_level(None)  # libav's log callback takes Python's lock and can deadlock
    return VideoSamples(VideoFile(file, request, channel.heartbeat), request)


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What is sampled from one stream of pictures."""

    pictures: PictureStream
    samples: list[Sample]
    first_index: int  # of its samples, among those of all streams


class VideoSamples:
    """The samples of a listed video, one stream after another."""

    def __init__(self, video: VideoFile, request: Request) -> None:
        self._video = video
        self._request = request
        self._plans: list[_Plan] = []
        counts = self._counts()
        for pictures, count in zip(video.pictures, counts, strict=True):
            first_index = sum(len(plan.samples) for plan in self._plans)
            self._plans.append(
                _Plan(pictures=pictures, samples=self._samples(pictures, count), first_index=first_index)
            )
        self._given = 0

    @property
    def planned(self) -> int:
        """Samples that were chosen, of all streams."""
        return sum(len(plan.samples) for plan in self._plans)

    @property
    def streams(self) -> int:
        """Streams of pictures, up to the last that is screened."""
        return self._plans[-1].pictures.number + 1

    @property
    def codecs(self) -> list[str]:
        """Of the streams that are screened."""
        return [plan.pictures.codec for plan in self._plans]

    @property
    def expected(self) -> int:
        """Samples that the whole file would give, from streams that are not screened too."""
        seen = sum(
            expected_samples(len(plan.samples), plan.pictures.present * plan.pictures.intact)
            for plan in self._plans
        )
        return ceil(seen * (len(self._plans) + self._video.refused) / len(self._plans))

    def send(self, channel: Channel) -> Decoded:
        """Hand the samples over. Raises BrokenMedia if no frame can be decoded."""
        decoded, unseen = 0, list(self._video.unseen)
        for number, plan in enumerate(self._plans):
            share = (self._request.max_decoded_frames - decoded) // (len(self._plans) - number)
            before = self._given
            decoded += self._send_stream(plan, share, channel)
            if self._given == before:
                tried = f"none of the {len(plan.samples)} frames that were tried could be decoded"
                unseen.append(f"video stream {plan.pictures.number} ({tried})")
        if self._given == 0:
            tried = f"none of the {self.planned} frames that were tried could be decoded"
            raise BrokenMedia(name=self._request.name, reason=tried)
        return Decoded(frames=decoded, unseen=tuple(unseen))

    def _counts(self) -> list[int]:
        """Samples per stream: as many as it would get alone, or a fair share of what is allowed."""
        rate = self._request.rate
        wanted = [rate.count(len(each.timeline.frames), each.seconds) for each in self._video.pictures]
        part = min(1.0, rate.most / sum(wanted))
        return [max(1, int(count * part)) for count in wanted]

    def _samples(self, pictures: PictureStream, count: int) -> list[Sample]:
        timeline = pictures.timeline
        wait = self._request.rate.longest_wait(count, pictures.seconds)
        longest_wait = wait / timeline.tick if timeline.tick else inf
        return plan_samples(timeline.times(), timeline.ranks(), count, longest_wait=longest_wait)

    def _send_stream(self, plan: _Plan, most: int, channel: Channel) -> int:
        decoder = SampleDecoder(self._video, plan.pictures, plan.samples, most=most, channel=channel)
        converter = Converter(plan.pictures.aspect, self._request.max_pixels)
        for sample in decoder:
            header = _header(sample, converter, plan)
            if self._given == 0:
                self._send_probe(plan.pictures, sample, header, channel)
            channel.send_frame(
                header, partial(converter.write, sample.picture, (header.width, header.height))
            )
            self._given += 1
        return decoder.packets_decoded

    def _send_probe(
        self, pictures: PictureStream, first: SampledFrame, header: FrameHeader, channel: Channel
    ) -> None:
        width, height = header.shown
        channel.send(
            "probe",
            container=self._video.container.format.name,
            codec=pictures.codec,
            pixel_format=first.picture.format.name,
            width=width,
            height=height,
            rotation=header.orientation.degrees,
            duration_seconds=pictures.seconds / pictures.present,
            frame_rate=pictures.rate,
            frames=sum(len(plan.pictures.timeline.frames) for plan in self._plans),
            expected_samples=self.expected,
        )


def _header(sample: SampledFrame, converter: Converter, plan: _Plan) -> FrameHeader:
    width, height = converter.size(sample.picture)
    return FrameHeader(
        index=plan.first_index + sample.index,
        stream=plan.pictures.number,
        seconds=sample.seconds,
        keyframe=sample.keyframe,
        damaged=sample.damaged,
        width=width,
        height=height,
        orientation=orientation(sample.picture),
    )
