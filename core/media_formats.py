"""Every format that Facewarden knows by its first bytes: what it is, who reads it, or what to do instead.

This is the only such list. The gate before the queue (`core.gate`), the decoder, the upload page, the media
types that a browser is told, the error messages and docs/formats.md are all made from it. Only the bytes
count: names and extensions are a stranger's claim.
"""

from dataclasses import dataclass
from typing import Any

from core import media_signatures as by
from core.media_signatures import Signature
from core.outcomes import MediaKind

PHOTO_REMEDY = "Export it as JPEG or PNG."
VIDEO_REMEDY = "Convert it to H.264 in MP4."
RAW_REMEDY = "Develop it and export it as JPEG or PNG."

UNKNOWN_TYPE = "application/octet-stream"


@dataclass(frozen=True, kw_only=True)
class MediaFormat:
    """A kind of file."""

    name: str  # what people call it
    kind: MediaKind
    matches: Signature  # whether these first bytes are of this format
    types: tuple[str, ...] = ()  # media types; browsers are told the first
    suffixes: tuple[str, ...] = ()  # of file names, for file choosers and for people
    reader: str = ""  # libav's name of the demuxer, or Pillow's of the format; empty where it is refused
    remedy: str = ""  # what to do instead, where it is refused
    shown: bool = False  # whether browsers play or show it by themselves

    @property
    def screened(self) -> bool:
        return bool(self.reader)

    @property
    def media_type(self) -> str:
        return self.types[0] if self.types else UNKNOWN_TYPE


def _still(name: str, matches: Signature, reader: str, **more: Any) -> MediaFormat:
    return MediaFormat(name=name, kind=MediaKind.IMAGE, matches=matches, reader=reader, **more)


def _video(name: str, matches: Signature, reader: str, **more: Any) -> MediaFormat:
    return MediaFormat(name=name, kind=MediaKind.VIDEO, matches=matches, reader=reader, **more)


def _no_still(name: str, matches: Signature, *suffixes: str, remedy: str = PHOTO_REMEDY) -> MediaFormat:
    return MediaFormat(name=name, kind=MediaKind.IMAGE, matches=matches, suffixes=suffixes, remedy=remedy)


def _no_video(name: str, matches: Signature, *suffixes: str) -> MediaFormat:
    return MediaFormat(
        name=name, kind=MediaKind.VIDEO, matches=matches, suffixes=suffixes, remedy=VIDEO_REMEDY
    )


# In matching order: the first match wins.
FORMATS: tuple[MediaFormat, ...] = (
    # Pictures. A refused format comes before a screened one that begins the same way.
    _no_still("JPEG-LS", by.starts(b"\xff\xd8\xff\xf7"), ".jls"),
    _no_still(
        "camera raw", by.camera_raw, ".cr2", ".cr3", ".raf", ".orf", ".rw2", ".x3f", ".mrw", remedy=RAW_REMEDY
    ),
    _still(
        "JPEG",
        by.starts(b"\xff\xd8\xff"),
        "JPEG",
        types=("image/jpeg",),
        suffixes=(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
        shown=True,
    ),
    _still(
        "PNG",
        by.starts(b"\x89PNG\r\n\x1a\n"),
        "PNG",
        types=("image/png", "image/apng"),
        suffixes=(".png", ".apng"),
        shown=True,
    ),
    _still("WebP", by.riff(b"WEBP"), "WEBP", types=("image/webp",), suffixes=(".webp",), shown=True),
    # What iPhones make.
    _still("HEIC", by.heif, "HEIF", types=("image/heic", "image/heif"), suffixes=(".heic", ".heif", ".hif")),
    _still("AVIF", by.avif, "AVIF", types=("image/avif",), suffixes=(".avif",), shown=True),
    _still(
        "GIF", by.starts(b"GIF87a", b"GIF89a"), "GIF", types=("image/gif",), suffixes=(".gif",), shown=True
    ),
    _still("BMP", by.bitmap, "BMP", types=("image/bmp",), suffixes=(".bmp", ".dib"), shown=True),
    _still(
        "TIFF",
        by.starts(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
        "TIFF",
        types=("image/tiff",),
        suffixes=(".tif", ".tiff"),
    ),
    _no_video("Motion JPEG 2000", by.pattern(rb"\0\0\0\x0cjP  \r\n\x87\n.{4}ftypmjp2"), ".mj2"),
    _still(
        "JPEG 2000",
        by.starts(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
        "JPEG2000",
        types=("image/jp2", "image/jpx"),
        suffixes=(".jp2", ".jpx", ".jpf", ".j2k"),
    ),
    _no_still("JPEG XL", by.starts(b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"), ".jxl"),
    _no_still("JPEG XR", by.starts(b"II\xbc"), ".jxr", ".wdp", ".hdp"),
    _no_still("Photoshop", by.starts(b"8BPS"), ".psd", ".psb"),
    _no_still("OpenEXR", by.starts(b"v/1\x01"), ".exr"),
    _no_still("Radiance HDR", by.starts(b"#?RADIANCE", b"#?RGBE"), ".hdr"),
    _no_still("DirectDraw surface", by.starts(b"DDS |\0\0\0"), ".dds"),
    _no_still("QOI", by.starts(b"qoif"), ".qoi"),
    _no_still("Netpbm", by.pattern(rb"P[1-7]\s+(?:#[^\n]*\n\s*)*(?:WIDTH )?\d+\s"), ".pbm", ".pgm", ".ppm"),
    _no_still("Windows icon", by.pattern(rb"\0\0[\x01\x02]\0[\x01-\x40]\0"), ".ico", ".cur"),
    # Videos.
    _video(
        "MP4",
        by.mp4,
        "mov",
        types=("video/mp4", "video/x-m4v", "video/3gpp"),
        suffixes=(".mp4", ".m4v", ".3gp", ".3g2"),
        shown=True,
    ),
    _video("MOV", by.quicktime, "mov", types=("video/quicktime",), suffixes=(".mov", ".qt"), shown=True),
    _video("WebM", by.webm, "matroska", types=("video/webm",), suffixes=(".webm",), shown=True),
    _video("MKV", by.starts(by.EBML), "matroska", types=("video/x-matroska",), suffixes=(".mkv",)),
    _video("AVI", by.riff(b"AVI "), "avi", types=("video/x-msvideo", "video/avi"), suffixes=(".avi",)),
    _video("FLV", by.starts(b"FLV\x01"), "flv", types=("video/x-flv",), suffixes=(".flv",)),
    _video(
        "WMV",
        by.starts(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
        "asf",
        types=("video/x-ms-wmv", "video/x-ms-asf"),
        suffixes=(".wmv", ".asf"),
    ),
    _video("Ogg", by.starts(b"OggS"), "ogg", types=("video/ogg",), suffixes=(".ogv", ".ogg")),
    _video(
        "MPEG-PS", by.starts(b"\0\0\1\xba"), "mpeg", types=("video/mpeg",), suffixes=(".mpg", ".mpeg", ".vob")
    ),
    _video(
        "raw MPEG-1/2", by.starts(b"\0\0\1\xb3"), "mpegvideo", types=("video/mpv",), suffixes=(".m1v", ".m2v")
    ),
    _video("raw H.264", by.raw_h264, "h264", types=("video/h264",), suffixes=(".h264", ".264")),
    _video("raw H.265", by.raw_h265, "hevc", types=("video/h265",), suffixes=(".h265", ".265", ".hevc")),
    _video("DV", by.pattern(rb"\x1f\x07\0[\x3f\xbf]"), "dv", types=("video/dv",), suffixes=(".dv", ".dif")),
    _video("IVF", by.starts(b"DKIF"), "ivf", types=("video/x-ivf",), suffixes=(".ivf",)),
    _no_video("raw MPEG-4", by.pattern(rb"\0\0\x01[\0-\x2f\xb0\xb5]"), ".m4v"),
    _no_video("raw AV1", by.starts(b"\x12\0\x0a"), ".obu"),
    _no_video("Y4M", by.starts(b"YUV4MPEG2 "), ".y4m"),
    _no_video("RealMedia", by.starts(b".RMF", b".RMP"), ".rm", ".rmvb"),
    _no_video("Video CD", by.riff(b"CDXA"), ".dat"),
    _no_video("NUT", by.starts(b"nut/multimedia container\0"), ".nut"),
    _no_video("GXF", by.starts(b"\0\0\0\0\1\xbc"), ".gxf"),
    _no_video("WTV", by.starts(b"\xb7\xd8\x00\x20\x37\x49\xda\x11"), ".wtv"),
    # Found behind other bytes, so they are tried last.
    _video(
        "MPEG-TS",
        by.transport_stream,
        "mpegts",
        types=("video/mp2t",),
        suffixes=(".ts", ".m2ts", ".mts", ".m2t"),
    ),
    _video("MXF", by.material_exchange, "mxf", types=("application/mxf",), suffixes=(".mxf",)),
)

SCREENED = tuple(each for each in FORMATS if each.screened)

# libav's names of the codecs that may be decoded: what people upload, each well tested upstream.
CODECS = frozenset(
    (
        *("h264", "hevc", "vp8", "vp9", "av1", "mpeg1video", "mpeg2video", "mpeg4", "mjpeg", "prores"),
        *("msmpeg4v2", "msmpeg4v3", "wmv1", "wmv2", "wmv3", "vc1", "theora", "flv1", "h263"),
        *("dnxhd", "dvvideo", "ffv1", "png"),
    )
)


def format_of(head: bytes) -> MediaFormat | None:
    """The format of the file that begins with `head`: HEAD_BYTES of it, or all there is."""
    return next((each for each in FORMATS if each.matches(head)), None)


def media_type(head: bytes) -> str:
    """The type a browser is told for a file that begins with `head`; never one that it would run."""
    found = format_of(head)
    return UNKNOWN_TYPE if found is None else found.media_type


def media_types(kind: MediaKind | None = None) -> tuple[str, ...]:
    """The media types of what is screened."""
    return tuple(name for each in SCREENED if kind in (None, each.kind) for name in each.types)


def names(kind: MediaKind | None = None) -> str:
    """What is screened, as a list for people: videos first, the most common in front."""
    wanted = [each for each in SCREENED if kind in (None, each.kind)]
    wanted.sort(key=lambda each: each.kind != MediaKind.VIDEO)
    return ", ".join(each.name for each in wanted)


def accepted() -> str:
    """What is screened, as the `accept` attribute of a file chooser."""
    suffixes = (suffix for each in SCREENED for suffix in each.suffixes)
    return ",".join(dict.fromkeys((*media_types(), *suffixes)))
