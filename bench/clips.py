"""Clips to measure with, made from the demo's photograph."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from evaluation.camera import encode, grainy, view
from models.face import Image

WIDTH, HEIGHT, RATE = 1920, 1080, 30


def write_1080p(path: Path, photograph: Image, seconds: int) -> None:
    """A 1080p30 H.264 clip of the photograph under a moving camera, one key frame in 250 (x264's default)."""
    encode(path, frames(photograph, seconds), rate=RATE)


def frames(photograph: Image, seconds: int) -> Iterator[Image]:
    """The pictures of that clip, uint8 (HEIGHT, WIDTH, 3) RGB."""
    background = np.asarray(cv2.resize(photograph, (WIDTH, HEIGHT)), np.uint8)
    noise = np.random.default_rng(0).normal(0, 2, (8, HEIGHT, WIDTH, 1)).astype(np.float32)
    for number in range(seconds * RATE):
        moment = 2 * np.pi * number / (seconds * RATE)
        left, top = -400 - 60 * np.sin(moment), -20 - 20 * np.cos(moment)
        seen = view(photograph, (WIDTH, HEIGHT), zoom=1.9, left=left, top=top, background=background)
        yield grainy(seen, noise[number % 8])


def loop(source: Path, target: Path, times: int) -> None:
    """The clip `times` times over, its packets copied, not encoded again."""
    with av.open(str(target), "w", format="mp4") as out:
        stream: Any = None
        offset = 0
        for _ in range(times):
            with av.open(str(source)) as container:
                video = container.streams.video[0]
                stream = stream or out.add_stream_from_template(video)
                for packet in container.demux(video):
                    if packet.dts is None:
                        continue
                    packet.pts, packet.dts = (packet.pts or 0) + offset, packet.dts + offset
                    packet.stream = stream
                    out.mux(packet)
                offset += video.duration or 0
