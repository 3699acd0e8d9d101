"""What happens to videos on their way to us: the conditions under which a detector is tested.

Each is a change of the frames and an H.264 quality; genuine and forged clips go through it alike.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from models.face import Image


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One way of degrading a clip."""

    name: str
    crf: int  # of H.264: 23 is its default, 40 falls to pieces
    scale: float = 1.0  # of both sides
    blur: float = 0.0  # sigma in pixels
    noise: float = 0.0  # standard deviation in gray values, different in every frame
    screenshot: bool = False  # shown on a screen and recorded from there

    def apply(self, frames: Iterable[Image], *, seed: int = 0) -> Iterator[Image]:
        """The frames as they go into the encoder: uint8 (h, w, 3)."""
        rng = np.random.default_rng(seed)
        for frame in frames:
            yield self._one(frame, rng)

    def _one(self, frame: Image, rng: np.random.Generator) -> Image:
        if self.screenshot:
            frame = recorded_from_screen(frame)
        if self.scale != 1:
            method = cv2.INTER_AREA if self.scale < 1 else cv2.INTER_LINEAR
            frame = np.asarray(
                cv2.resize(frame, None, fx=self.scale, fy=self.scale, interpolation=method), np.uint8
            )
        if self.blur > 0:
            frame = np.asarray(cv2.GaussianBlur(frame, (0, 0), self.blur), np.uint8)
        if self.noise > 0:
            noisy = frame + rng.normal(0, self.noise, frame.shape)
            frame = np.clip(np.round(noisy), 0, 255).astype(np.uint8)
        return frame


def recorded_from_screen(frame: Image) -> Image:
    """As a player draws it and a recorder takes it: resampled by an odd factor, contrast and gamma of the
    screen, the recorder's sharpening, a JPEG in between.
    """
    height, width = frame.shape[:2]
    shown = cv2.resize(frame, (round(width * 0.83), round(height * 0.83)), interpolation=cv2.INTER_LINEAR)
    tone = np.clip(255 * (np.arange(256) / 255) ** 0.92 * 0.94 + 8, 0, 255).astype(np.uint8)
    toned = cv2.LUT(shown, tone)
    sharper = cv2.addWeighted(toned, 1.4, cv2.GaussianBlur(toned, (0, 0), 1.0), -0.4, 0)
    _, coded = cv2.imencode(".jpg", sharper[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])
    decoded = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(decoded[..., ::-1])


CONDITIONS: dict[str, Condition] = {
    condition.name: condition
    for condition in (
        Condition(name="crf 23", crf=23),
        Condition(name="crf 32", crf=32),
        Condition(name="crf 40", crf=40),
        Condition(name="half size", crf=23, scale=0.5),
        Condition(name="blur", crf=23, blur=1.5),
        Condition(name="noise", crf=23, noise=8.0),
        Condition(name="screenshot", crf=28, screenshot=True),
    )
}
MAIN = ("crf 23", "crf 32")  # every clip is tested under these
