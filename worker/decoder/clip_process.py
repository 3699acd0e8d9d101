"""The process that joins segments of a stream to one MP4, packet by packet: nothing is decoded or coded anew.

It reads strangers' bytes, so it lives in the decoder's sandbox; the MP4 leaves by its stdout.

    caller  -> process   one line of JSON: a Request, whose file is the first, and all descriptors
    process -> caller    the MP4 in fragments; nothing at all where nothing can be joined
"""

import json
import os
import sys
from io import FileIO
from typing import Any

import av
import av.container.output
import av.logging
from av.error import FFmpegError

from core.errors import InputError
from core.media_signatures import HEAD_BYTES
from worker.decoder.container.opening import MediaBytes, open_container, packets
from worker.decoder.protocol import Request
from worker.decoder.sandbox import lockdown

# What browsers play from an MP4; other codecs are left to the frames.
PLAYED = frozenset({"h264", "hevc", "av1", "vp9"})
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
FRAME_SECONDS = 0.04  # between the last frame of a segment and the first of the next, where nothing is known


class Pipe:
    """libav's output: written in order, up to so many bytes."""

    def __init__(self, descriptor: int, most: int) -> None:
        self._descriptor, self._left = descriptor, most

    def write(self, content: bytes) -> int:
        self._left -= len(content)
        if self._left < 0:
            os._exit(1)  # the caller drops what came
        view = memoryview(content)
        while view:
            view = view[os.write(self._descriptor, view) :]
        return len(content)


class Joiner:
    """Segments one after another, in one stream of pictures."""

    def __init__(self, output: Any, request: Request) -> None:
        self._output, self._request = output, request
        self._stream: Any = None  # libav's side of the output
        self._shape: tuple[str, int, int] | None = None  # codec and size; another one needs another clip
        self._ends = 0.0  # seconds of the clip so far

    def add(self, file: FileIO) -> bool:
        """Append a segment; False where it does not fit behind the others."""
        head = file.read(HEAD_BYTES)
        file.seek(0)
        with open_container(MediaBytes(file), head, self._request) as container:
            video = next(iter(container.streams.video), None)
            if video is None or video.codec_context is None:
                return False
            context = video.codec_context
            shape = (context.codec.canonical_name, context.width, context.height)
            if self._shape is None and shape[0] in PLAYED:
                self._stream, self._shape = self._output.add_stream_from_template(video), shape
            if shape != self._shape:
                return False
            self._copy(container, video)
            return True

    def _copy(self, container: Any, video: Any) -> None:
        first, began, length = None, self._ends, FRAME_SECONDS
        for packet in packets(container, [video]):
            if packet.dts is None or packet.pts is None:
                continue
            tick = float(packet.time_base)
            first = packet.dts if first is None else first
            shift = round(began / tick) - first
            packet.dts, packet.pts, packet.stream = packet.dts + shift, packet.pts + shift, self._stream
            length = packet.duration * tick if packet.duration else length
            self._ends = max(self._ends, packet.dts * tick + length)
            self._output.mux(packet)


def main() -> None:
    words = json.loads(sys.stdin.buffer.readline())
    request = Request.parse(json.dumps(words["request"]).encode())
    lockdown.die_with_parent(request.parent)
    files = [FileIO(descriptor, "rb") for descriptor in words["files"]]
    av.logging.set_level(None)
    pipe = Pipe(sys.stdout.fileno(), words["most_bytes"])
    lockdown.lock_down(memory_bytes=request.memory_bytes, cpu_seconds=words["cpu_seconds"])
    joined = 0
    output: Any = av.open(pipe, "w", format="mp4", options=FRAGMENTS)
    joiner = Joiner(output, request)
    for file in files:
        try:
            joined += joiner.add(file)
        except (InputError, FFmpegError, OSError, ValueError):
            continue  # a damaged segment is left out
    if joined:
        output.close()
    os._exit(0)  # nothing is left to tidy up, and much of it would be refused


if __name__ == "__main__":
    main()
