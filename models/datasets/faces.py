"""Genuine faces for training: photographs and frames of genuine videos, split by person and by video.

The folder holds `faces.jsonl` with `faces/`, `faces_lfw.jsonl` with `faces_lfw/` and `videos/`; a line of
the jsonl gives `file`, `box` (x0, y0, x1, y1), `landmarks` (5 x 2), and where known `gray` and `identity`.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
import cv2
import numpy as np

from core.errors import SettingsError
from core.settings import DetectionSettings
from models.detector import FaceDetector
from models.face import Box, Image, Landmarks
from models.synthesis.kinds import GenuineFace

Fold = Literal["train", "held_out"]
Source = Literal["photo", "gray_photo", "video"]

FRAMES_PER_VIDEO = 24
LEAST_FACE = 60  # pixels of the box's longer side: a smaller face teaches only blur


@dataclass(frozen=True, kw_only=True)
class FaceRecord:
    """One genuine face, decoded only when it is asked for."""

    source: Source
    group: str  # the person or the video: a group is never on both sides of a split
    box: Box
    landmarks: Landmarks
    path: Path | None = None
    image: Image | None = None  # kept in memory where there is no file

    def load(self) -> Image:
        if self.image is not None:
            return self.image
        decoded = cv2.imread(str(self.path), cv2.IMREAD_COLOR)
        if decoded is None:
            raise SettingsError(setting=str(self.path), reason="this training picture is damaged")
        return np.ascontiguousarray(decoded[..., ::-1], np.uint8)


def load_faces(data: Path) -> list[FaceRecord]:
    """Every genuine face below `data`, with frames of the videos cropped by the product's own detector.

    Raises SettingsError if the folder has none.
    """
    records: list[FaceRecord] = []
    records += load_photos(data)
    for path in sorted((data / "videos").glob("*.mp4")):
        records += video_faces(path)
    if not records:
        raise SettingsError(setting="--data", reason=f"{data} has neither faces.jsonl nor videos/*.mp4")
    return records


def load_photos(data: Path) -> list[FaceRecord]:
    """Only the photographs, which need no detector."""
    records: list[FaceRecord] = []
    for name, source in (("faces", "photo"), ("faces_lfw", "gray_photo")):
        listing = data / f"{name}.jsonl"
        if listing.is_file():
            records += _photos(listing, data / name, "gray_photo" if source == "gray_photo" else "photo")
    return records


def _photos(listing: Path, folder: Path, source: Source) -> Iterator[FaceRecord]:
    with listing.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            x0, y0, x1, y1 = row["box"]
            yield FaceRecord(
                source=source,
                group=row.get("identity", row["file"]),
                box=Box(x0=x0, y0=y0, x1=x1, y1=y1),
                landmarks=np.asarray(row["landmarks"], np.float32),
                path=folder / row["file"],
            )


def video_faces(path: Path) -> Iterator[FaceRecord]:
    """The faces of FRAMES_PER_VIDEO frames of one video; its name is their group."""
    detector = FaceDetector(DetectionSettings(min_probability=0.98))
    for frame in video_frames(path, FRAMES_PER_VIDEO):
        for face in detector.detect([frame])[0]:
            if max(face.box.width, face.box.height) < LEAST_FACE:
                continue
            image, shift = _cut(frame, face.box, margin=1.7)
            yield FaceRecord(
                source="video",
                group=path.stem,
                box=Box(
                    x0=face.box.x0 - shift[0],
                    y0=face.box.y0 - shift[1],
                    x1=face.box.x1 - shift[0],
                    y1=face.box.y1 - shift[1],
                ),
                landmarks=face.landmarks - np.asarray(shift, np.float32),
                image=image,
            )


def video_frames(path: Path, count: int) -> Iterator[Image]:
    """`count` frames spread evenly over a trusted video, as RGB."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "SLICE"
        total = stream.frames or round(float((stream.duration or 0) * (stream.time_base or 0)) * 25)
        every = max(1, total // count)
        for number, frame in enumerate(container.decode(stream)):
            if number % every == every // 2:
                yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def _cut(image: Image, box: Box, margin: float) -> tuple[Image, tuple[int, int]]:
    side = margin * max(box.width, box.height) / 2
    x, y = box.centre
    height, width = image.shape[:2]
    x0, x1 = max(0, round(x - side)), min(width, round(x + side))
    y0, y1 = max(0, round(y - side)), min(height, round(y + side))
    return image[y0:y1, x0:x1].copy(), (x0, y0)


def split(records: list[FaceRecord], side: Fold) -> list[FaceRecord]:
    """One side of the split: a tenth of the persons and a third of the videos are held out."""
    held_videos = held_out_videos(record.group for record in records if record.source == "video")

    def held(record: FaceRecord) -> bool:
        if record.source == "video":
            return record.group in held_videos
        return hashlib.sha256(record.group.encode()).digest()[0] < 26

    return [record for record in records if held(record) == (side == "held_out")]


def held_out_videos(names: Iterable[str]) -> set[str]:
    """The third of the videos that is never trained on."""
    return set(sorted(set(names))[::3])


def canvas(record: FaceRecord, size: int, *, margin: float, rng: np.random.Generator) -> GenuineFace:
    """The face on a square of `size` pixels, a little off centre, its side `margin` times the box.

    If the picture has no room for that square, the largest possible one is used: repeated edge pixels would
    tell sources apart.
    """
    image = record.load()
    height, width = image.shape[:2]
    side = min(margin * max(record.box.width, record.box.height), float(min(height, width)))
    x, y = (centre + rng.uniform(-0.04, 0.04) * side for centre in record.box.centre)
    left = min(max(x - side / 2, 0), width - side)
    top = min(max(y - side / 2, 0), height - side)
    x0, y0, cut = round(left), round(top), max(1, round(side))
    patch = image[y0 : y0 + cut, x0 : x0 + cut]
    scale = np.array([size / patch.shape[1], size / patch.shape[0]], np.float32)
    method = cv2.INTER_AREA if patch.shape[0] > size else cv2.INTER_CUBIC
    picture = np.asarray(cv2.resize(patch, (size, size), interpolation=method), np.uint8)
    landmarks = (record.landmarks - np.array([x0, y0], np.float32)) * scale
    face = GenuineFace(image=picture, landmarks=landmarks, gray=record.source == "gray_photo")
    return _mirrored(face) if rng.random() < 0.5 else face


def _mirrored(face: GenuineFace) -> GenuineFace:
    width = face.image.shape[1]
    # Mirroring makes the left eye the right one; reorder the landmarks accordingly.
    landmarks = face.landmarks[[1, 0, 2, 4, 3]] * np.array([-1, 1], np.float32)
    landmarks = landmarks + np.array([width - 1, 0], np.float32)
    return GenuineFace(image=np.ascontiguousarray(face.image[:, ::-1]), landmarks=landmarks, gray=face.gray)
