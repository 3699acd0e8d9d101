"""Augmentation: what the world does to pictures, the same for the genuine and the forged half of a pair.

Only then is the forgery the sole difference between the two.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np

from models.face import Image
from models.synthesis.kinds import as_gray


@dataclass(frozen=True, kw_only=True)
class Degradation:
    """One random degradation, applied to any number of pictures alike."""

    gray: bool
    gain: float  # contrast
    shift: float  # brightness, gray values
    saturation: float
    rescale: float  # (0, 1]: shrunk by this factor and enlarged again
    blur: float  # sigma in pixels, 0 for none
    noise: float  # standard deviation in gray values
    noise_seed: int
    still_codec: str  # "", ".jpg" or ".webp"
    still_quality: int
    codec: str  # "", "libx264", "libx265" or "libvpx-vp9"
    crf: int

    def photometric(self, image: Image) -> Image:
        """All but the video codec. Noise is the same for both halves of a pair."""
        height, width = image.shape[:2]
        out = image.astype(np.float32)
        mean = out.mean(axis=2, keepdims=True)
        out = (mean + (out - mean) * self.saturation - 128) * self.gain + 128 + self.shift
        out = np.clip(out, 0, 255)
        if self.rescale < 1:
            small = cv2.resize(out, None, fx=self.rescale, fy=self.rescale, interpolation=cv2.INTER_AREA)
            out = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
        if self.blur > 0:
            out = np.asarray(cv2.GaussianBlur(out, (0, 0), self.blur), np.float32)
        if self.noise > 0:
            noise = np.random.default_rng(self.noise_seed).normal(0, self.noise, out.shape)
            out = out + noise.astype(np.float32)
        result = np.clip(np.round(out), 0, 255).astype(np.uint8)
        if self.gray:
            result = as_gray(result)
        return self._still(result)

    def _still(self, image: Image) -> Image:
        if not self.still_codec:
            return image
        flag = cv2.IMWRITE_JPEG_QUALITY if self.still_codec == ".jpg" else cv2.IMWRITE_WEBP_QUALITY
        _, coded = cv2.imencode(self.still_codec, image[..., ::-1], [flag, self.still_quality])
        decoded = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
        return np.ascontiguousarray(decoded[..., ::-1])


def draw(rng: np.random.Generator, *, strength: float) -> Degradation:
    """A random degradation; `strength` in [0, 1] scales how bad it may be."""
    coin = rng.random(8)
    codec = ""
    if coin[6] < 0.35 + 0.35 * strength:
        codec = str(rng.choice(["libx264", "libx265", "libvpx-vp9"], p=[0.9, 0.05, 0.05]))
    return Degradation(
        gray=bool(coin[0] < 0.12),
        gain=float(rng.uniform(0.8, 1.2)),
        shift=float(rng.uniform(-20, 20)),
        saturation=float(rng.uniform(0.6, 1.3)),
        rescale=float(rng.uniform(1 - 0.6 * strength, 1)) if coin[1] < 0.5 else 1.0,
        blur=float(rng.uniform(0.3, 0.4 + 1.1 * strength)) if coin[2] < 0.25 else 0.0,
        noise=float(rng.uniform(0.5, 1 + 5 * strength)) if coin[3] < 0.3 else 0.0,
        noise_seed=int(rng.integers(2**31)),
        still_codec=("" if coin[4] > 0.6 else ".jpg" if coin[5] < 0.7 else ".webp"),
        still_quality=int(rng.integers(95 - round(55 * strength), 98)),
        codec=codec,
        crf=int(rng.integers(18, 22 + round(16 * strength))),
    )


def through_codec(images: Sequence[Image], codec: str, crf: int) -> list[Image]:
    """Encode the pictures as one clip, each predicted from a slightly moved copy of itself, and decode.

    All must be of one even size. Prediction leaves the smoothing of real video; key frames alone would not.
    """
    height, width = images[0].shape[:2]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream: Any = container.add_stream(codec, rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.gop_size = 2
        stream.codec_context.thread_count = 1
        stream.options = _codec_options(codec, crf)
        for image in images:
            moved = np.roll(image, (1, 2), axis=(0, 1))
            for picture in (moved, image):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer, "r") as coded:
        coded.streams.video[0].codec_context.thread_count = 1
        frames = [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in coded.decode(video=0)]
    return frames[1::2]


def _codec_options(codec: str, crf: int) -> dict[str, str]:
    if codec == "libx264":
        return {"crf": str(crf), "preset": "veryfast", "bf": "0", "keyint_min": "2", "sc_threshold": "0"}
    if codec == "libx265":
        x265 = f"crf={crf}:keyint=2:bframes=0:log-level=none:pools=none:frame-threads=1"
        return {"preset": "ultrafast", "x265-params": x265}
    return {"crf": str(min(63, crf + 8)), "b": "0", "deadline": "realtime", "cpu-used": "8"}
