"""Labelled media: what a data set of genuine and fake pictures and videos consists of."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Split = Literal["train", "validation", "test"]

GENUINE = "genuine"
VIDEO_SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg"}
PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


@dataclass(frozen=True, kw_only=True)
class LabelledMedia:
    """One video or picture whose truth is known."""

    path: Path
    fake: bool
    method: str  # what made it, by the data set's own name; "genuine" for what is not fake
    group: str  # the identity or source video that it shows: a group is never on two splits of a split
    split: Split | None  # the data set's own, None where it has none
    source: str = ""  # the data set
    face_group: str | None = None  # whose face was put in, where that is known and another than `group`
    cropped: bool = False  # a picture that holds one face and little else: none found, it counts whole
    margin: float | None = None  # of a cropped picture: its side over the face box's longer side
    family: str = ""  # swap, reenact, lipsync, generate, photoshop or genuine; "" where unknown
    corpus: str = ""  # the part of the data set that it is of, where that is said; "" counts as `source`

    @property
    def is_video(self) -> bool:
        return self.path.suffix.lower() in VIDEO_SUFFIXES


def is_media(path: Path) -> bool:
    """Whether the name is one of a video or picture, and no hidden one."""
    return path.suffix.lower() in VIDEO_SUFFIXES | PICTURE_SUFFIXES and not path.name.startswith(".")
