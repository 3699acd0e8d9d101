"""From a decoder's frame to RGB in shared memory, and how to turn it upright."""

import struct
from fractions import Fraction
from typing import Any

from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from worker.decoder.protocol import Orientation
from worker.decoder.video.deinterlacing import deinterlaced
from worker.decoder.video.wide_colours import DEEP, fill_in_matrix, mapped, wide_colours

# Pixels further from square than this are stretched; less is the rounding of an encoder.
SQUARE = (Fraction(19, 20), Fraction(20, 19))
# No camera stretches beyond this.
WIDEST, NARROWEST = Fraction(4, 1), Fraction(1, 4)

# Display matrices of quarter turns, counter-clockwise.
TURNS = ((1, 0, 0, 1), (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0))


class Converter:
    """Converts the frames of one video."""

    def __init__(self, aspect: Fraction | None, max_pixels: int) -> None:
        """`aspect` is a pixel's width divided by its height, if the container tells."""
        self._aspect = aspect
        self._max_pixels = max_pixels
        # Each is set up for one kind of picture, and again when another comes.
        self._to_rgb24, self._to_deep = VideoReformatter(), VideoReformatter()

    def size(self, picture: VideoFrame) -> tuple[int, int]:
        """Width and height in square pixels, before the picture is turned upright."""
        aspect = self._aspect or Fraction(1)
        if SQUARE[0] <= aspect <= SQUARE[1] or not NARROWEST <= aspect <= WIDEST:
            return picture.width, picture.height
        width = max(1, round(picture.width * aspect))
        fits = width * picture.height <= self._max_pixels
        return (width if fits else picture.width), picture.height

    def write(self, picture: VideoFrame, size: tuple[int, int], target: memoryview) -> None:
        """Write `picture` at `size` (width, height) as RGB, rows without gaps, into `target`."""
        rgb = self._to_rgb(deinterlaced(picture), size)
        plane = rgb.planes[0]
        source, stride, row = memoryview(plane), plane.line_size, 3 * size[0]
        if stride == row:
            target[:] = source[: len(target)]
            return
        for y in range(size[1]):
            target[y * row : (y + 1) * row] = source[y * stride : y * stride + row]

    def _to_rgb(self, picture: VideoFrame, size: tuple[int, int]) -> VideoFrame:
        width, height = size
        try:
            colours = wide_colours(picture)
            if colours is not None:
                fill_in_matrix(picture)
                deep = self._to_deep.reformat(
                    picture, width, height, DEEP, dst_color_range=ColorRange.JPEG, threads=1
                )
                picture = mapped(deep, colours)
            return self._to_rgb24.reformat(
                picture, width, height, "rgb24", dst_color_range=ColorRange.JPEG, threads=1
            )
        except FFmpegError:
            # Exotic or forged colour tags that libswscale does not know: use the common ones.
            return VideoReformatter().reformat(
                picture,
                width,
                height,
                "rgb24",
                src_colorspace=Colorspace.ITU709,
                dst_colorspace=Colorspace.ITU709,
                src_color_range=ColorRange.MPEG,
                dst_color_range=ColorRange.JPEG,
                threads=1,
            )


def orientation(picture: VideoFrame) -> Orientation:
    """How the container wants the picture turned, to the nearest right angle, mirroring included."""
    a, b, c, d = _matrix(picture)
    # A pixel (x, y) is shown at (a x + c y, b x + d y).
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(flip_x=a < 0, flip_y=d < 0)
    return Orientation(transpose=True, flip_x=c < 0, flip_y=b < 0)


def _matrix(picture: VideoFrame) -> tuple[int, int, int, int]:
    """The part of the display matrix that turns and mirrors, in 16.16 fixed point."""
    try:
        side_data: Any = picture.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV does not know one kind of side data on this frame, and then gives none
        return TURNS[round(picture.rotation / 90) % 4]
    if side_data is None:
        return TURNS[0]
    a, b, _, c, d, *_ = struct.unpack("<9i", bytes(side_data))
    return a, b, c, d
