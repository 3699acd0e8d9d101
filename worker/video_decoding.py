"""A video, from its first byte to its last sample, inside the decoder process."""

from functools import partial
from io import FileIO
from math import inf

import av.logging

from core.errors import BrokenMedia
from worker.conversion import Converter, orientation
from worker.decoder_messages import Decoded, FrameHeader, Outlet, Request
from worker.sample_decoder import SampleDecoder, SampledFrame
from worker.sampling import expected_samples, plan_samples
from worker.video_file import VideoFile


def decode_video(file: FileIO, request: Request, outlet: Outlet) -> Decoded:
    """Hand over the samples of the video in `file`.

    Raises an InputError where there is not one frame to hand over.
    """
    av.logging.set_level(None)  # libav's log callback takes Python's lock and can deadlock
    video = VideoFile(file, request, outlet.alive)
    timeline = video.timeline
    count = request.rate.count(len(timeline.frames), video.seconds)
    wait = request.rate.longest_wait(count, video.seconds) / timeline.tick if timeline.tick else inf
    samples = plan_samples(timeline.times(), timeline.ranks(), count, longest_wait=wait)
    decoder = SampleDecoder(video, samples, request, outlet.alive)
    converter = Converter(video.stream.sample_aspect_ratio, request.max_pixels)
    given = 0
    for sample in decoder:
        header = _header(sample, converter)
        if given == 0:
            _say_probe(outlet, video, sample, header, expected_samples(count, video.present * video.intact))
        outlet.give(header, partial(converter.write, sample.picture, (header.width, header.height)))
        given += 1
    if given == 0:
        reason = f"none of the {count} frames that were tried could be decoded"
        raise BrokenMedia(name=request.name, reason=reason)
    return Decoded(frames=decoder.packets_decoded)


def _header(sample: SampledFrame, converter: Converter) -> FrameHeader:
    width, height = converter.size(sample.picture)
    return FrameHeader(
        index=sample.index,
        seconds=sample.seconds,
        keyframe=sample.keyframe,
        damaged=sample.damaged,
        width=width,
        height=height,
        orientation=orientation(sample.picture),
    )


def _say_probe(
    outlet: Outlet, video: VideoFile, first: SampledFrame, header: FrameHeader, expected: int
) -> None:
    width, height = header.shown
    outlet.say(
        "probe",
        container=video.container.format.name,
        codec=video.stream.codec_context.codec.canonical_name,
        pixel_format=first.picture.format.name,
        width=width,
        height=height,
        rotation=header.orientation.degrees,
        duration_seconds=video.seconds / video.present,
        frame_rate=video.rate,
        frames=len(video.timeline.frames),
        expected_samples=expected,
    )
