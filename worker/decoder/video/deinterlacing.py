"""Makes one whole picture of a frame whose two fields were taken at different moments.

The samples are far apart, so the neighbouring frames are not at hand, and a filter that compares frames
(yadif, bwdif) would take both fields for one moment and leave the combing. `estdif` interpolates the missing
lines from one field alone, along the edges that it finds.
"""

from av.error import FFmpegError
from av.filter import Graph
from av.video.frame import VideoFrame

FILTER = ("estdif", "mode=frame:parity=auto:deint=all")


def deinterlaced(picture: VideoFrame) -> VideoFrame:
    """The picture of the first field; unchanged if it is not interlaced, or of a strange format."""
    if not picture.interlaced_frame:
        return picture
    try:
        return _filtered(picture)
    except (FFmpegError, ValueError):  # a pixel format that the filter does not take
        return picture


def _filtered(picture: VideoFrame) -> VideoFrame:
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=picture.width, height=picture.height, format=picture.format, time_base=picture.time_base
    )
    graph.link_nodes(source, graph.add(*FILTER), graph.add("buffersink")).configure()
    graph.push(picture)
    graph.push(None)
    whole = graph.pull()
    if not isinstance(whole, VideoFrame):
        return picture
    whole.colorspace, whole.color_range = picture.colorspace, picture.color_range
    whole.color_trc, whole.color_primaries = picture.color_trc, picture.color_primaries
    return whole
