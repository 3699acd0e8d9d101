"""Labelled media: the items of a data set of genuine and fake pictures and videos."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Split = Literal["train", "validation", "test"]

GENUINE = "genuine"
VIDEO_SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg"}
PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


@dataclass(frozen=True, kw_only=True)
class LabelledMedia:
    """One video or picture that is known to be genuine or fake."""

    path: Path
    fake: bool
    method: str  # what made it, by the data set's own name; "genuine" for what is not fake
    group: str  # the identity or source video that it shows: a group is never in two splits
    split: Split | None  # the data set's own, None where it has none
    source: str = ""  # the data set
    face_group: str | None = None  # whose face was put in, if known and different from `group`
    cropped: bool = False  # a picture of one face and little else: if none is found, all of it counts
    margin: float | None = None  # of a cropped picture: its side over the face box's longer side
    family: str = ""  # swap, reenact, lipsync, generate, photoshop or genuine; "" where unknown
    corpus: str = ""  # the part of the data set that it belongs to, if given; "" counts as `source`

    @property
    def is_video(self) -> bool:
        return self.path.suffix.lower() in VIDEO_SUFFIXES


def is_media(path: Path) -> bool:
    """Whether the name is that of a video or picture, and not hidden."""
    return path.suffix.lower() in VIDEO_SUFFIXES | PICTURE_SUFFIXES and not path.name.startswith(".")
