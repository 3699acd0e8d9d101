"""A camera over a photograph, and the encoder of what it saw: for demo, benchmark and made clips."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from models.face import Image


def view(
    photograph: Image,
    size: tuple[int, int],
    *,
    zoom: float,
    left: float,
    top: float,
    background: Image | None = None,
) -> Image:
    """What a camera sees whose upper left corner is at (`left`, `top`) of the enlarged photograph.

    Args:
        photograph: uint8 (H, W, 3).
        size: width and height of the view, pixels.
        zoom: pixels of the view for a pixel of the photograph.
        left, top: pixels of the view; negative ones show what is beside the photograph.
        background: uint8, of the view's size, beside the photograph; without it the photograph is mirrored.
    """
    matrix = np.array([[zoom, 0, -left], [0, zoom, -top]])
    if background is None:
        seen = cv2.warpAffine(photograph, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    else:
        onto = background.copy()
        seen = cv2.warpAffine(photograph, matrix, size, dst=onto, borderMode=cv2.BORDER_TRANSPARENT)
    return np.asarray(seen, np.uint8)


def grainy(seen: Image, noise: Any) -> Image:
    """The frame with sensor noise, which differs from frame to frame."""
    return np.asarray(np.clip(np.round(seen + noise), 0, 255), np.uint8)


def encode(path: Path, frames: Iterable[Image], *, rate: float, crf: int = 23) -> None:
    """Write uint8 (H, W, 3) frames of one size as H.264 in MP4; an odd last row or column is cropped off."""
    with av.open(str(path), "w", format="mp4") as container:
        stream: Any = None
        for frame in frames:
            height, width = (side // 2 * 2 for side in frame.shape[:2])
            if stream is None:
                stream = container.add_stream("libx264", rate=Fraction(rate))
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                stream.options = {"crf": str(crf), "preset": "veryfast"}
            picture = np.ascontiguousarray(frame[:height, :width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        if stream is not None:
            container.mux(stream.encode(None))
