"""Frames in high dynamic range or wide colours as an ordinary screen shows them.

libswscale could map them itself, but computes its table again (3 s of CPU time) for each size, and darkens a
picture according to its grading metadata. Our own table (0.1 s, once) goes through FFmpeg's `haldclut`.
"""

from array import array
from fractions import Fraction
from functools import cache

from av.error import FFmpegError
from av.filter import Graph
from av.video.frame import VideoFrame

from worker.decoder.light import BT1886, BT2020, HDR_CURVES, TO_BT709, WideColours

BT2020_MATRIX, BT2020_CONSTANT, UNSPECIFIED = 9, 10, 2  # of ITU-T H.273

# Deep enough that the many dark values of PQ do not show as steps.
DEEP = "rgb48le"
LEVEL = 6  # of the Hald picture: its edge is LEVEL ** 3 pixels, the table has LEVEL ** 2 points a side
ANY_TIME = Fraction(1, 25)  # seconds; the filter needs both its pictures at the same time


def wide_colours(picture: VideoFrame) -> WideColours | None:
    """What must be mapped; None if an ordinary screen shows it as it is."""
    curve, primaries = picture.color_trc, picture.color_primaries
    hdr = curve in HDR_CURVES
    if not hdr and primaries not in TO_BT709:
        return None
    if hdr and primaries == UNSPECIFIED:
        primaries = BT2020
    # These numbers come from a stranger: reduce them to those that make different tables.
    return WideColours(
        transfer=curve if hdr else UNSPECIFIED, primaries=primaries if primaries in TO_BT709 else UNSPECIFIED
    )


def fill_in_matrix(picture: VideoFrame) -> None:
    """Give HDR without a (usable) matrix the usual one."""
    if picture.color_trc in HDR_CURVES and picture.colorspace in (UNSPECIFIED, BT2020_CONSTANT):
        picture.colorspace = BT2020_MATRIX


def mapped(deep: VideoFrame, colours: WideColours) -> VideoFrame:
    """A DEEP picture in the colours of BT.709. Raises FFmpegError if that is impossible."""
    table = hald(colours)
    graph = Graph()
    graph.threads = 1
    pictures, tables = (
        graph.add_buffer(width=each.width, height=each.height, format=each.format, time_base=ANY_TIME)
        for each in (deep, table)
    )
    look_up, sink = graph.add("haldclut", "interp=tetrahedral"), graph.add("buffersink")
    pictures.link_to(look_up, 0, 0)
    tables.link_to(look_up, 0, 1)
    look_up.link_to(sink)
    graph.configure()
    for source, frame in ((pictures, deep), (tables, table)):
        frame.pts, frame.time_base = 0, ANY_TIME
        source.push(frame)
        source.push(None)
    whole = sink.pull()
    if not isinstance(whole, VideoFrame):
        raise FFmpegError(-1, "the filter gave no picture")
    return whole


@cache
def hald(colours: WideColours) -> VideoFrame:
    """The table as the picture from which the filter reads it."""
    edge = LEVEL**3
    picture = VideoFrame(edge, edge, DEEP)
    values = array("H", (round(65535 * value) for value in colours.table(LEVEL**2, BT1886))).tobytes()
    plane, row = picture.planes[0], 6 * edge
    padded = bytearray(plane.buffer_size)
    for y in range(edge):
        padded[y * plane.line_size : y * plane.line_size + row] = values[y * row : (y + 1) * row]
    plane.update(bytes(padded))
    return picture
