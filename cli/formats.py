"""The page docs/formats.md, from the table of formats."""

from core.media_formats import CODECS, FORMATS, MediaFormat
from core.outcomes import MediaKind

WORDS = {MediaKind.IMAGE: "picture", MediaKind.VIDEO: "video"}


def as_markdown() -> str:
    lines = [
        "# Formats",
        "",
        "What Facewarden screens, by the first bytes of a file; its name does not matter. The bucket,",
        "uploads and `facewarden screen` take the same. This page is written by `make settings-docs` from",
        "`core/media_formats.py`; a test fails where it is out of date.",
        "",
        "| format | kind | file names | media types |",
        "|---|---|---|---|",
        *(_screened(each) for each in FORMATS if each.screened),
        "",
        "Codecs in videos: " + ", ".join(f"`{codec}`" for codec in sorted(CODECS)) + ".",
        "",
        "Of a picture the pixels count, turned as its EXIF says; broken metadata are passed over. Wide",
        "gamuts and high dynamic range (PQ, HLG) are seen as sRGB. Animations are sampled like videos. Of a",
        "HEIC the main picture is screened, of a TIFF its largest page, of a JPEG with others behind it the",
        "first. A Motion Photo's video (an MP4 behind a JPEG, HEIC or AVIF) is screened beside its picture,",
        "as a stream of its own; the worse of the two decides. Other pages of a TIFF and pictures of a HEIC",
        "are named as not looked at, and lower the coverage.",
        "",
        "## Known and refused",
        "",
        "These get the error `unsupported_media` before they are queued, with what to do instead. Anything",
        "else is `not_media`.",
        "",
        "| format | kind | file names | what to do |",
        "|---|---|---|---|",
        *(_refused(each) for each in FORMATS if not each.screened),
        "",
    ]
    return "\n".join(lines)


def _screened(each: MediaFormat) -> str:
    return f"| {each.name} | {WORDS[each.kind]} | {_code(each.suffixes)} | {_code(each.types)} |"


def _refused(each: MediaFormat) -> str:
    return f"| {each.name} | {WORDS[each.kind]} | {_code(each.suffixes)} | {each.remedy} |"


def _code(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words)
