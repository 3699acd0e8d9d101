"""Clips cut from segments of a stream, by the process beside this."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from math import ceil

import structlog

from core.settings import DecodeSettings, SamplingSettings
from worker.decoder.child import ENVIRONMENT
from worker.decoder.protocol import Request
from worker.decoder.reader import limits, sample_rate

log = structlog.get_logger()

COMMAND = (sys.executable, "-I", "-B", "-m", "worker.decoder.clip_process")
MOST_BYTES = 200 * 1000**2  # of a clip
MOST_SEGMENTS = 64


def join(segments: Sequence[int], settings: DecodeSettings, *, name: str) -> bytes:
    """One MP4 of the segments, given as descriptors of open files; empty where they cannot be joined.

    Args:
        name: what messages call the stream.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC
    files = [os.open(f"/proc/self/fd/{each}", flags) for each in segments[:MOST_SEGMENTS]]
    try:
        return _joined(files, settings, name) if files else b""
    finally:
        for file in files:
            os.close(file)


def _joined(files: Sequence[int], settings: DecodeSettings, name: str) -> bytes:
    size = sum(os.fstat(file).st_size for file in files)
    words = {
        "request": asdict(_request(files[0], size, settings, name)),
        "files": list(files),
        "most_bytes": MOST_BYTES,
        "cpu_seconds": ceil(settings.cpu_seconds + settings.cpu_seconds_per_megabyte * size / 1e6),
    }
    with subprocess.Popen(  # noqa: S603  our own command; the stream's name is not part of it
        COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=files,
        env={each: os.environ[each] for each in ENVIRONMENT if each in os.environ},
        cwd="/",
        start_new_session=True,
    ) as process:
        try:
            content, _ = process.communicate(json.dumps(words).encode() + b"\n", settings.stall_seconds)
        except subprocess.TimeoutExpired:
            content = b""
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode != 0:
        log.warning("no clip could be cut", stream=name, exit_code=process.returncode)
        return b""
    return content


def _request(file: int, size: int, settings: DecodeSettings, name: str) -> Request:
    return Request(
        name=name,
        file=file,
        memory=-1,
        parent=os.getpid(),
        threads=1,
        max_pixels=settings.max_pixels,
        max_duration_seconds=settings.max_duration_seconds,
        max_streams=settings.max_streams,
        max_decoded_frames=settings.max_decoded_frames,
        memory_bytes=settings.memory_bytes,
        limits=limits(settings, size),
        rate=sample_rate(SamplingSettings()),
    )
