"""Still pictures, and animations stored as pictures, through Pillow.

Runs in the decoder process, after `worker.sandbox.lock_down`: whatever it needs is imported here.
"""

import io
import re
from collections.abc import Callable
from functools import partial
from io import FileIO

import pillow_heif
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    ImageOps,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from core import gate
from core.errors import BrokenMedia
from core.media_signatures import HEAD_BYTES
from worker.decoder_messages import FrameHeader, Orientation, Outlet, Request, too_many_pixels
from worker.sampling import Rank, plan_samples

# The readers of the formats that are taken. They are named here to be imported while files can still
# be opened; MPO is what phones write for a JPEG with a second picture behind the first.
READERS = (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
ANIMATED = ("AVIF", "GIF", "PNG", "WEBP")

FRAME_SECONDS = 0.1  # of an animation that does not say: what browsers take for it
MOST_FRAMES = 20_000  # of an animation; they can only be counted by walking over them


def prepare() -> None:
    """Let Pillow import what it would import at the first picture; no file can be opened then."""
    Image.preinit()
    pillow_heif.register_heif_opener(thumbnails=False)


def decode_still(file: FileIO, request: Request, outlet: Outlet) -> int:
    """Hand over the picture in `file`, or samples of the animation; returns how many were decoded.

    Raises an InputError where there is nothing to hand over.
    """
    still = StillFile(file.readall(), request, outlet.alive)
    given = 0
    for index, number in enumerate(still.samples()):
        image, damaged = still.decode(number)
        if image is None:
            continue
        header = FrameHeader(
            index=index,
            seconds=still.times[number],
            keyframe=True,
            damaged=damaged,
            width=image.width,
            height=image.height,
            orientation=Orientation(),
        )
        if given == 0:
            _say_probe(outlet, still, header)
        outlet.give(header, partial(_write, image))
        given += 1
    if given == 0:
        raise BrokenMedia(name=request.name, reason=still.reason)
    return given


def _write(image: Image.Image, place: memoryview) -> None:
    place[:] = image.tobytes()


def _say_probe(outlet: Outlet, still: "StillFile", header: FrameHeader) -> None:
    outlet.say(
        "probe",
        container=still.format.lower(),
        codec=still.format.lower(),
        pixel_format=still.mode.lower(),
        width=header.width,
        height=header.height,
        rotation=0,
        duration_seconds=still.seconds if len(still.times) > 1 else 0.0,
        frame_rate=None,
        frames=len(still.times),
        expected_samples=len(still.samples()),
    )


class StillFile:
    """An opened picture or animation."""

    def __init__(self, content: bytes, request: Request, alive: Callable[[], None]) -> None:
        """Open and check against the caps; no pixel is decoded.

        Raises MediaTooLarge or BrokenMedia.
        """
        self._request = request
        self._alive = alive
        self.reason = "it is empty"  # why the latest frame could not be decoded
        # Pillow refuses what has more than twice as many, and does so before it allocates.
        Image.MAX_IMAGE_PIXELS = request.max_pixels // 2
        reader = gate.sniff(content[:HEAD_BYTES], request.name).reader
        try:
            self._image = Image.open(io.BytesIO(content), formats=[reader])
        except Image.DecompressionBombError as error:
            pixels = re.search(r"\d+", str(error))
            raise too_many_pixels(request, f"{pixels[0] if pixels else 'many'} pixels") from None
        except MemoryError:
            raise
        except Exception as error:  # Pillow lets through whatever a parser stumbles over
            raise BrokenMedia(name=request.name, reason=_reason(error)) from None
        if self._image.width * self._image.height > request.max_pixels:
            raise too_many_pixels(request, f"{self._image.width} x {self._image.height} pixels")
        self.format = str(self._image.format)
        self.mode = self._image.mode
        self.times, self.seconds = self._list_frames()  # when each frame is shown, and when all is over

    def samples(self) -> list[int]:
        """The frames to look at."""
        count = self._request.rate.count(len(self.times), self.seconds)
        ranks = bytes([Rank.KEYFRAME]) * len(self.times)
        return [sample.frame for sample in plan_samples(self.times, ranks, count)]

    def decode(self, number: int) -> tuple[Image.Image | None, bool]:
        """One upright frame, or None; and whether a part of it was missing."""
        self._alive()
        image = self._decode(number, lenient=False)
        if image is not None:
            return image, False
        return self._decode(number, lenient=True), True

    def _decode(self, number: int, *, lenient: bool) -> Image.Image | None:
        """With `lenient`, what is missing at the end stays gray."""
        ImageFile.LOAD_TRUNCATED_IMAGES = lenient
        try:
            if len(self.times) > 1:
                self._image.seek(number)
            return _as_seen(ImageOps.exif_transpose(self._image))
        except MemoryError:
            raise
        except Exception as error:  # as above
            self.reason = _reason(error)
            return None

    def _list_frames(self) -> tuple[list[float], float]:
        times, clock = [0.0], self._frame_seconds()
        if self.format not in ANIMATED:
            return times, clock
        try:
            for number in range(1, min(getattr(self._image, "n_frames", 1), MOST_FRAMES)):
                self._alive()
                self._image.seek(number)
                times.append(clock)
                clock += self._frame_seconds()
        except MemoryError:
            raise
        except Exception:  # as above; what could be listed counts
            return times, clock
        return times, clock

    def _frame_seconds(self) -> float:
        return self._image.info.get("duration", 0) / 1000 or FRAME_SECONDS


def _as_seen(image: Image.Image) -> Image.Image:
    """RGB as a viewer shows it: 16 bits scaled down, transparency over white."""
    if image.mode.startswith("I"):
        image = image.convert("I").point(lambda value: value * (1 / 257))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image).convert("RGB")
    return image.convert("L").convert("RGB") if image.mode == "I" else image.convert("RGB")


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
