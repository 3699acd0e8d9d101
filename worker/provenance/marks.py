"""What the raw bytes of a file show at a glance: whether there is a manifest, and the marks of generators.

Nothing is parsed here: patterns of bounded length are looked for in the first and the last bytes, where every
format keeps its metadata. So no file can make it fail, and the many that carry nothing cost a few
milliseconds.
"""

import os
import re
from dataclasses import dataclass
from io import FileIO

from core.provenance import MOST_ENTRIES

EDGE_BYTES = 4 * 1024**2  # at each end of the file

# Text that tools leave in PNG chunks, EXIF, XMP or a container's tags. A mark must be too peculiar to stand
# in a file by chance, or because somebody writes about the tool.
GENERATORS = {
    "Stable Diffusion web UI": rb"Steps: \d{1,5}, Sampler: [\x20-\x7e]{1,99}, CFG scale: ",
    "ComfyUI": rb'"class_type"\s{0,4}:\s{0,4}\\?"[\w +|-]{1,80}\\?"',
    "InvokeAI": rb"invokeai_(?:metadata|graph|workflow)|sd-metadata\0",
    "NovelAI": rb"Software\0NovelAI|NovelAI generated image",
    "Fooocus": rb"Fooocus v\d",
    "Midjourney": rb"Job ID: [0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}",
    "Adobe Firefly": rb"(?:CreatorTool|Software)[=>\"'\0: ]{1,4}Adobe Firefly",
    "Google AI": rb"Made with Google AI",
}
_WIDE = {  # the same in UTF-16, as EXIF's user comments have it
    "Stable Diffusion web UI": "Sampler: ",
}
_GENERATORS = {name: re.compile(pattern) for name, pattern in GENERATORS.items()}

_SOURCE_TYPE = re.compile(rb"cv\.iptc\.org/newscodes/digitalsourcetype/([A-Za-z]{3,60})")
_XMP = re.compile(rb"<x:xmpmeta[\s>]")
_XMP_END = b"</x:xmpmeta>"
_ELSEWHERE = re.compile(rb"dcterms:provenance\s{0,4}[=>]\s{0,4}[\"']?https?://")


@dataclass(frozen=True, kw_only=True)
class Marks:
    manifest: bool  # a C2PA manifest seems to be inside
    elsewhere: bool  # or at an address that the file names
    source_types: tuple[str, ...]  # IPTC digital source types in XMP packets
    generators: tuple[str, ...]


def look(file: FileIO) -> Marks:
    """The marks of an opened file; its position stays where it is. May raise OSError."""
    data = _edges(file)
    packets = b"\n".join(_packets(data))
    types = dict.fromkeys(found.decode() for found in _SOURCE_TYPE.findall(packets))
    return Marks(
        # Every format wraps it in a JUMBF box (ISO 19566-5) with C2PA's label.
        manifest=b"jumb" in data and b"c2pa" in data,
        elsewhere=_ELSEWHERE.search(packets) is not None,
        source_types=tuple(types)[:MOST_ENTRIES],
        generators=tuple(name for name in GENERATORS if _left_by(name, data)),
    )


def _edges(file: FileIO) -> bytes:
    size = os.fstat(file.fileno()).st_size
    if size <= 2 * EDGE_BYTES:
        return os.pread(file.fileno(), size, 0)
    return os.pread(file.fileno(), EDGE_BYTES, 0) + os.pread(file.fileno(), EDGE_BYTES, size - EDGE_BYTES)


def _packets(data: bytes) -> list[bytes]:
    """The XMP packets, which every format keeps as plain text."""
    found: list[bytes] = []
    start = 0
    while len(found) < MOST_ENTRIES and (begin := _XMP.search(data, start)):
        end = data.find(_XMP_END, begin.start())
        if end < 0:
            break
        found.append(data[begin.start() : end])
        start = end
    return found


def _left_by(name: str, data: bytes) -> bool:
    if _GENERATORS[name].search(data):
        return True
    wide = _WIDE.get(name)
    if wide is None:
        return False
    return any(
        wide.encode(encoding) in data and "CFG scale: ".encode(encoding) in data
        for encoding in ("utf-16-be", "utf-16-le")
    )
