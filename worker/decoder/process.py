"""The decoder: a process of its own, because every file is a stranger's.

`worker.decoder.reader` starts it, writes a Request to its stdin and reads messages from its stdout; the
messages are in `worker.decoder.protocol`. Nothing here imports torch, numpy or the settings: it starts once
per file and has to start fast.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from io import FileIO
from math import ceil
from typing import BinaryIO

from core.errors import InputError
from core.media_formats import format_of
from core.media_signatures import HEAD_BYTES
from core.outcomes import MediaKind
from worker.decoder.budget import Budget
from worker.decoder.container.appended_videos import find_appended
from worker.decoder.protocol import Channel, Decoded, FrameHeader, Request, encode
from worker.decoder.sandbox import lockdown
from worker.decoder.shared_memory import FrameWriter, region_bytes

ALIVE_SECONDS = 0.5  # between heartbeats; the reader waits for tens of seconds

Decoder = Callable[[FileIO, Request, Channel], Decoded]


class Pipes:
    """The pipes and the memory shared with the reader: the Channel of a decoder."""

    def __init__(self, words: BinaryIO, answers: FileIO) -> None:
        self.waited = 0.0  # seconds spent waiting for the reader
        self._words, self._answers = words, answers
        self._spoke = time.monotonic()
        self.request = Request.parse(words.readline())
        self._budget = Budget(self.request.limits, name=self.request.name)
        self._writer = FrameWriter(self.request.memory, region_bytes(self.request.max_pixels), self._wait)

    def send(self, kind: str, **fields: object) -> None:
        self._answers.write(encode({"kind": kind, **fields}))
        self._spoke = time.monotonic()

    def heartbeat(self) -> None:
        self._budget.check()
        if time.monotonic() - self._spoke > ALIVE_SECONDS:
            self.send("heartbeat")

    def decoded(self, pixels: int) -> None:
        self._budget.decode(pixels)

    def send_frame(self, frame: FrameHeader, write: Callable[[memoryview], None]) -> None:
        offset, place = self._writer.place(frame.size)
        with self._budget.excused():
            write(place)
        self.send("frame", offset=offset, header=asdict(frame))

    def _wait(self) -> None:
        """Wait until the reader has taken one more frame."""
        since = time.monotonic()
        if not self._words.readline():  # the reader is gone
            os._exit(0)
        self.waited += time.monotonic() - since


def main() -> None:
    began = time.monotonic()
    pipes = Pipes(sys.stdin.buffer, FileIO(sys.stdout.fileno(), "wb", closefd=False))
    request = pipes.request
    lockdown.die_with_parent(request.parent)
    with FileIO(request.file, "rb") as file:
        try:
            decode = _decoder_of(file)
            parts = lockdown.lock_down(
                memory_bytes=request.memory_bytes, cpu_seconds=ceil(request.limits.most_cpu_seconds)
            )
            pipes.send("ready", sandbox=[asdict(part) for part in parts])
            decoded = decode(file, request, pipes)
            seconds = time.monotonic() - began - pipes.waited
            pipes.send("done", decoded=decoded.frames, unseen=decoded.unseen, seconds=seconds)
        except MemoryError:
            pipes.send("out_of_memory")
        except Exception as error:  # nothing can be written to stderr any more
            refusal = lockdown.refusal_in(error)
            if refusal is not None:  # whatever it surfaced as: a decoder needs nothing that is refused
                pipes.send("refused", reason=_described(refusal))
            elif isinstance(error, InputError):
                fields = {name: str(value) for name, value in error.fields.items()}
                pipes.send("error", code=error.code, fields=fields)
            else:  # a bug of ours or of a library
                pipes.send("crashed", reason=_described(error))


def _described(error: BaseException) -> str:
    """An error, and where it was raised."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        place = f" in {code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__}: {error}"[:500] + place


def _decoder_of(file: FileIO) -> Decoder:
    """The decoder for this kind of file, imported now because nothing can be opened later."""
    found = format_of(os.pread(file.fileno(), HEAD_BYTES, 0))
    if found is not None and found.screened and found.kind is MediaKind.IMAGE:
        from worker.decoder.stills import decoding  # noqa: PLC0415  a video does not need Pillow

        decoding.prepare()
        starts = find_appended(file, found)
        if not starts:
            return decoding.decode_still
        from worker.decoder.motion_photos import decode_motion_photo  # noqa: PLC0415  it takes both libraries

        return partial(decode_motion_photo, starts=starts)
    from worker.decoder.video.decoding import decode_video  # noqa: PLC0415  a picture does not need libav

    return decode_video


if __name__ == "__main__":
    main()
