"""A pack: the faces of one or several data sets in one safetensors file, small enough to copy anywhere.

Every face is cropped as wide as any crop will need, scaled to one resolution and encoded by one encoder, so
that neither file type nor size nor encoder reveals its origin.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pictures
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from core.errors import SettingsError
from models.face import Box, Image, Landmarks
from models.whole_file import whole

METADATA_KEY = "facewarden-pack"
COMMAND_KEY = "command"
MARGIN = 1.8  # side of what is kept / longer side of the face box
FACE_PIXELS = 176  # longer side of the face box at most: what a crop of margin 1.3 at 224 px shows
QUALITY = 88  # of the JPEGs


@dataclass(frozen=True, kw_only=True)
class PackedFace:
    """What is known of one face."""

    fake: bool
    family: str  # swap, reenact, lipsync, generate, photoshop; genuine; "" where unknown
    method: str
    group: str  # never on two sides of a split
    source: str
    side: str  # train, validation or test
    clip: str  # the medium that it is a frame of
    corpus: str  # the part of the data: faces of one corpus resemble each other


@dataclass(frozen=True, kw_only=True)
class Pack:
    """The faces, in one order, and what is kept of each."""

    faces: Sequence[PackedFace]
    pictures: Sequence[bytes]  # JPEG
    boxes: NDArray[np.float32]  # (N, 4) x0, y0, x1, y1 in pixels of the picture
    landmarks: NDArray[np.float32]  # (N, 5, 2); NaN where unknown
    command: str = ""  # that made it


def cut(image: Image, box: Box, landmarks: Landmarks) -> tuple[bytes, NDArray[np.float32], Landmarks]:
    """The JPEG of the picture within MARGIN, and box and landmarks in its pixels."""
    height, width = image.shape[:2]
    longer = max(box.width, box.height)
    x, y = box.centre
    half = MARGIN * longer / 2
    x0, x1 = max(0, round(x - half)), min(width, round(x + half))
    y0, y1 = max(0, round(y - half)), min(height, round(y + half))
    x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
    scale = min(1.0, FACE_PIXELS / longer)
    size = (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale)))
    picture = Pictures.fromarray(image[y0:y1, x0:x1]).resize(size, Pictures.Resampling.LANCZOS)
    coded = io.BytesIO()
    picture.save(coded, "jpeg", quality=QUALITY, subsampling=0)
    corner = np.array([x0, y0], np.float32)
    moved = np.array([[box.x0, box.y0], [box.x1, box.y1]], np.float32) - corner
    moved *= np.float32(scale)
    return coded.getvalue(), moved.reshape(4), ((landmarks - corner) * scale).astype(np.float32)


def write_pack(path: Path, pack: Pack) -> None:
    """Write it, whole or not at all."""
    pictures = np.frombuffer(b"".join(pack.pictures), np.uint8)
    tensors = {
        "pictures": torch.from_numpy(pictures.copy()),
        "ends": torch.from_numpy(np.cumsum([len(each) for each in pack.pictures]).astype(np.int64)),
        "boxes": torch.from_numpy(pack.boxes),
        "landmarks": torch.from_numpy(pack.landmarks),
    }
    metadata = {METADATA_KEY: json.dumps([row_of(face) for face in pack.faces]), COMMAND_KEY: pack.command}
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as partial:
        partial.write_bytes(save(tensors, metadata=metadata))


def row_of(face: PackedFace) -> list[Any]:
    """Its values in their order, as a pack keeps them."""
    return list(asdict(face).values())


def read_pack(path: Path) -> Pack:
    """Raises SettingsError if the file is not a pack, or damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).numpy() for name in file.keys()}  # noqa: SIM118 - no mapping
        return _unpacked(metadata, tensors)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        reason = f"not a pack of faces, or damaged ({type(error).__name__}); make one with `facewarden pack`"
        raise SettingsError(setting=str(path), reason=reason) from error


def _unpacked(metadata: Mapping[str, str], tensors: Mapping[str, NDArray[Any]]) -> Pack:
    """Raises KeyError, TypeError or ValueError if something is missing or does not fit the rest."""
    names = list(PackedFace.__dataclass_fields__)
    rows: list[list[Any]] = json.loads(metadata[METADATA_KEY])
    pictures, ends = tensors["pictures"].tobytes(), tensors["ends"].tolist()
    boxes, landmarks = tensors["boxes"], tensors["landmarks"]
    if (boxes.shape, landmarks.shape) != ((len(rows), 4), (len(rows), 5, 2)):
        raise ValueError("boxes or landmarks are missing")
    return Pack(
        faces=[PackedFace(**dict(zip(names, row, strict=True))) for row in rows],
        pictures=[pictures[start:end] for start, end in pairwise([0, *ends])],
        boxes=boxes,
        landmarks=landmarks,
        command=metadata.get(COMMAND_KEY, ""),
    )


def joined(packs: Sequence[Pack]) -> Pack:
    """Several packs as one."""
    return Pack(
        faces=[face for part in packs for face in part.faces],
        pictures=[picture for part in packs for picture in part.pictures],
        boxes=np.concatenate([part.boxes for part in packs]),
        landmarks=np.concatenate([part.landmarks for part in packs]),
    )
