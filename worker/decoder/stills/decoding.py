"""Still pictures, and animations stored as pictures, through Pillow.

Runs in the decoder process, after `worker.decoder.sandbox.lockdown.lock_down`, so everything it needs is
imported here.
"""

import codecs
import io
import re
from collections.abc import Sequence
from functools import partial
from io import FileIO

import pillow_heif
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from core import gate
from core.errors import BrokenMedia, TooCostly, UnsupportedMedia
from core.media_formats import RAW_REMEDY
from core.media_signatures import HEAD_BYTES
from worker.decoder.protocol import Channel, Decoded, FrameHeader, Orientation, Request, too_many_pixels
from worker.decoder.sampling import Rank, plan_samples
from worker.decoder.sandbox.lockdown import NOT_THE_FILE
from worker.decoder.stills.colour import as_seen
from worker.decoder.stills.metadata import boxes, carve, jpeg_scans, jpeg_without_end, orientation_in
from worker.decoder.stills.times import MOST_FRAMES, durations

# The readers of the accepted formats, named here to be imported while files can still be opened.
READERS = (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    pillow_heif,
)
# Errors that are not about one frame, and end the decoding.
LET_THROUGH = (*NOT_THE_FILE, TooCostly)

TEXT_CODECS = ("ascii", "latin-1", "utf-8", "utf-16", "utf-32")  # Python imports each at its first use
ANIMATED = ("AVIF", "GIF", "PNG", "WEBP")

FRAME_SECONDS = 0.1  # of an animation that does not say: what browsers use
MOST_PAGES = 200  # of a TIFF, searched for the largest

# TIFF tags: what a page is, as bits; whether it comes from a camera's sensor; where sub-pages are.
SUBFILE_TAG, REDUCED, MASK = 0x00FE, 1, 4
ORIENTATION_TAG, SUB_PAGES_TAG, DNG_TAG = 0x0112, 0x014A, 0xC612

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class _TiffFile(TiffImagePlugin.TiffImageFile):
    """A TIFF that is not turned on loading: Pillow's own stumbles over odd tags when it turns it."""

    def load_end(self) -> None:
        pass


def prepare() -> None:
    """Make the libraries import what they would import at the first picture, when no file can be opened."""
    Image.preinit()
    pillow_heif.register_heif_opener(thumbnails=False)
    Image.register_open("TIFF", _TiffFile)
    for name in TEXT_CODECS:
        codecs.lookup(name)


def decode_still(file: FileIO, request: Request, channel: Channel) -> Decoded:
    """Hand over the picture in `file`, or samples of the animation.

    Raises an InputError where there is nothing to hand over.
    """
    return send_still(StillFile(file.readall(), request, channel), channel)


def send_still(
    still: "StillFile", channel: Channel, *, beside: int = 0, codecs: Sequence[str] = ()
) -> Decoded:
    """Hand over an opened picture, or samples of an animation.

    Args:
        beside: samples that the file gives beside it.
        codecs: of the videos behind it.

    Raises BrokenMedia where there is nothing to hand over.
    """
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
            _send_probe(channel, still, header, beside, codecs)
        channel.send_frame(header, partial(_write, image))
        given += 1
    if given == 0:
        raise BrokenMedia(name=still.name, reason=still.reason)
    return Decoded(frames=given, unseen=still.unseen)


def _write(image: Image.Image, place: memoryview) -> None:
    place[:] = image.tobytes()


def _send_probe(
    channel: Channel, still: "StillFile", header: FrameHeader, beside: int, codecs: Sequence[str]
) -> None:
    kind = still.format.lower()
    channel.send(
        "probe",
        container=f"{kind} + mp4" if codecs else kind,
        codec=" + ".join((kind, *codecs)),
        pixel_format=still.mode.lower(),
        width=header.width,
        height=header.height,
        rotation=0,
        duration_seconds=still.seconds if len(still.times) > 1 else 0.0,
        frame_rate=None,
        frames=len(still.times),
        expected_samples=still.count + len(still.unseen) + beside,
    )


class StillFile:
    """An opened picture or animation."""

    def __init__(self, content: bytes, request: Request, channel: Channel) -> None:
        """Open and check against the caps; no pixel is decoded.

        Raises MediaTooLarge or BrokenMedia.
        """
        self.name = request.name
        self._request = request
        self._channel = channel
        self.reason = "it is empty"  # why the latest frame could not be decoded
        # Pillow refuses pictures with more than twice as many, before it allocates.
        Image.MAX_IMAGE_PIXELS = request.max_pixels // 2
        self.format = gate.sniff(content[:HEAD_BYTES], request.name).reader
        self._picture = carve(content, self.format)
        self._image = self._open(self._picture.content)
        self._page = 0  # of a file with several pages
        self.unseen: tuple[str, ...] = ()  # in words
        if self.format == "TIFF":
            self._choose_page()
        elif self.format == "HEIF":
            self.unseen = _beside(self._image, content)
        self._check_size()
        self.mode = self._image.mode
        self.times, self.seconds = self._list_frames(
            content
        )  # when each is shown, and when the last one ends

    def _open(self, content: bytes) -> Image.Image:
        try:
            return Image.open(io.BytesIO(content), formats=[self.format])
        except Image.DecompressionBombError as error:
            pixels = re.search(r"\d+", str(error))
            raise too_many_pixels(self._request, f"{pixels[0] if pixels else 'many'} pixels") from None
        except LET_THROUGH:
            raise
        except Exception as error:  # Pillow passes on whatever a parser raises
            raise BrokenMedia(name=self._request.name, reason=_reason(error)) from None

    def _check_size(self) -> None:
        width, height = self._image.size
        if width * height > self._request.max_pixels:
            raise too_many_pixels(self._request, f"{width} x {height} pixels")

    def _choose_page(self) -> None:
        """The largest page of a TIFF; small copies and masks are not pages of their own.

        Raises UnsupportedMedia for cameras' TIFFs, whose pages are only small copies.
        """
        sizes: dict[int, int] = {}
        try:
            for number in range(MOST_PAGES):
                self._channel.heartbeat()
                self._image.seek(number)
                kind = self._tag(SUBFILE_TAG)
                if number == 0:
                    self._refuse_camera_raw(kind)
                if not kind & (REDUCED | MASK):
                    sizes[number] = self._image.width * self._image.height
        except (*LET_THROUGH, UnsupportedMedia):
            raise
        except Exception as error:  # as above; the end of the pages is one of them
            self.reason = _reason(error)
        self._page = max(sizes, key=lambda number: (sizes[number], -number), default=0)
        try:
            self._image.seek(self._page)
        except MemoryError:
            raise
        except Exception as error:  # as above
            raise BrokenMedia(name=self._request.name, reason=_reason(error)) from None
        self.unseen = tuple(f"page {number + 1}" for number in sizes if number != self._page)

    def _refuse_camera_raw(self, kind: int) -> None:
        """Whether the first page is a small copy and the sensor's picture a sub-page of it."""
        if self._tag(DNG_TAG) or (kind & REDUCED and self._tag(SUB_PAGES_TAG)):
            raise UnsupportedMedia(name=self._request.name, reason="the format camera raw", remedy=RAW_REMEDY)

    def _tag(self, tag: int) -> int:
        """A whole number from the page's tags; 0 where there is none, or something else."""
        try:
            value = self._image.tag_v2.get(tag, 0)  # type: ignore[attr-defined]  # it is a TIFF
        except LET_THROUGH:
            raise
        except Exception:  # as above
            return 0
        if isinstance(value, (tuple, bytes)):
            value = value[0] if value else 0
        return value if isinstance(value, int) else 0

    @property
    def count(self) -> int:
        """How many frames are sampled."""
        return len(self.samples())

    def samples(self) -> list[int]:
        """The frames to sample."""
        count = self._request.rate.count(len(self.times), self.seconds)
        ranks = bytes([Rank.KEYFRAME]) * len(self.times)
        return [sample.frame for sample in plan_samples(self.times, ranks, count)]

    def decode(self, number: int) -> tuple[Image.Image | None, bool]:
        """One upright frame, or None; and whether a part of it was missing."""
        self._channel.heartbeat()
        image = self._decode(self._image, number, lenient=False)
        if image is None and self.format == "JPEG":
            image = self._decode_without_end()
        if image is not None:
            return image, False
        return self._decode(self._image, number, lenient=True), True

    def _decode(self, image: Image.Image, number: int, *, lenient: bool) -> Image.Image | None:
        """With `lenient`, what is missing at the end stays gray."""
        ImageFile.LOAD_TRUNCATED_IMAGES = lenient
        try:
            self._channel.decoded(self._work(image, number))
            image.seek(number if len(self.times) > 1 else self._page or image.tell())
            image.load()
            profile = self._picture.profile or image.info.get("icc_profile")
            seen = as_seen(image, profile, self._picture.cicp)
            turn = TURNS.get(self._orientation(image))
            return seen if turn is None else seen.transpose(turn)
        except LET_THROUGH:
            raise
        except Exception as error:  # as above
            self.reason = _reason(error)
            return None

    def _work(self, image: Image.Image, number: int) -> int:
        """Pixels to decode for frame `number`: each frame on the way to it, each pass over a JPEG."""
        if len(self.times) == 1:
            passes = jpeg_scans(self._picture.content) if self.format == "JPEG" else 1
        else:
            behind = image.tell()
            passes = number - behind if number > behind else number + 1
        return passes * image.width * image.height

    def _decode_without_end(self) -> Image.Image | None:
        """A JPEG that lacks only its last marker; None if more is missing."""
        seen = []
        for content in jpeg_without_end(self._picture.content):
            try:
                seen.append(self._decode(self._open(content), 0, lenient=False))
            except BrokenMedia:
                return None
        first, second = seen
        if first is None or second is None or first.tobytes() != second.tobytes():
            return None
        return first

    def _orientation(self, image: Image.Image) -> int:
        """How to turn the picture, as an EXIF orientation; a HEIC was already turned by its decoder."""
        match self.format:
            case "TIFF":
                return self._tag(ORIENTATION_TAG)
            case "AVIF" | "WEBP":
                return orientation_in(image.info.get("exif", b""))
        return self._picture.orientation

    def _list_frames(self, content: bytes) -> tuple[list[float], float]:
        if self.format not in ANIMATED:
            return [0.0], FRAME_SECONDS
        count = self._frame_count()
        lengths: Sequence[float] = durations(content, self.format)
        if self.format in ("GIF", "PNG"):
            lengths = self._walk(count)
        elif len(lengths) != count:
            lengths = [0.0] * count
        times, clock = [], 0.0
        for length in lengths:
            times.append(clock)
            clock += length or FRAME_SECONDS
        return times, clock

    def _frame_count(self) -> int:
        """How many frames there seem to be. Pillow counts a GIF's by stepping through it, which may fail."""
        try:
            return min(getattr(self._image, "n_frames", 1), MOST_FRAMES)
        except LET_THROUGH:
            raise
        except Exception as error:  # as above
            self.reason = _reason(error)
            return MOST_FRAMES if self.format == "GIF" else 1  # the walk ends where the counting did

    def _walk(self, count: int) -> list[float]:
        """How long each frame is shown, found by stepping through them; up to the first that fails."""
        lengths = []
        try:
            for number in range(count):
                self._channel.heartbeat()
                self._channel.decoded(self._image.width * self._image.height)
                self._image.seek(number)
                lengths.append(self._image.info.get("duration", 0) / 1000)
        except LET_THROUGH:
            raise
        except Exception as error:  # as above
            self.reason = _reason(error)
        return lengths or [0.0]


def _beside(image: Image.Image, content: bytes) -> tuple[str, ...]:
    """What a HEIC holds besides its main picture, which is the one screened."""
    others = getattr(image, "n_frames", 1) - 1
    sequence = any(kind == b"moov" for kind, *_ in boxes(content))
    words = (others > 0 and f"{others} other pictures", sequence and "the image sequence")
    return tuple(word for word in words if word)


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
