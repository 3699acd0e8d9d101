"""What decoding one file may cost: pixels and CPU time in proportion to its bytes.

A limit that fits the longest honest video lets a file of a few kB keep a worker busy for minutes. An honest
file that costs much is large: even a still scene takes a video encoder some 50 bytes for a frame of 1080p,
about 40 gigapixels a megabyte.

This module is imported by the decoder process and must stay free of the settings.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from core.errors import TooCostly

GIGAPIXEL = 1_000_000_000  # pixels


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one file may cost."""

    pixels: float  # decoded, over all frames
    cpu_seconds: float  # for reading the file, before any pixel
    cpu_seconds_per_pixel: float

    @property
    def most_cpu_seconds(self) -> float:
        """With all allowed pixels decoded, and as much again for what is not counted."""
        return self.cpu_seconds + 2 * self.cpu_seconds_per_pixel * self.pixels


class Budget:
    """Counts what decoding one file costs. Each method raises TooCostly once it is too much."""

    def __init__(self, limits: Limits, *, name: str, clock: Callable[[], float] = time.process_time) -> None:
        """`clock` gives the CPU seconds of this process, with all its threads."""
        self._limits, self._name, self._clock = limits, name, clock
        self._pixels = 0
        self._excused = 0.0  # CPU seconds

    def decode(self, pixels: int) -> None:
        """Count pixels that are about to be decoded, or were."""
        self._pixels += pixels
        if self._pixels > self._limits.pixels:
            self._refuse(
                "the number of pixels in all its frames",
                f"{self._limits.pixels / GIGAPIXEL:.1f} gigapixels",
                "GIGAPIXELS_PER_MEGABYTE",
            )

    @contextmanager
    def excused(self) -> Iterator[None]:
        """What is done in here does not count: our own work, bounded by the samples and their pixels.

        A slow machine must not refuse an honest file because converting its frames takes long.
        """
        began = self._clock()
        yield
        self._excused += self._clock() - began

    def check(self) -> None:
        """To be called often: between packets, between frames."""
        allowed = self._limits.cpu_seconds + self._limits.cpu_seconds_per_pixel * self._pixels
        if self._clock() - self._excused > allowed:
            self._refuse("the CPU time of decoding it", f"{allowed:.1f} s", "CPU_SECONDS")

    def _refuse(self, quantity: str, limit: str, setting: str) -> None:
        setting = f"FACEWARDEN_DECODE__{setting}"
        raise TooCostly(name=self._name, quantity=quantity, limit=limit, setting=setting)
