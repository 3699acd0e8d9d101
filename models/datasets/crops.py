"""Faces of labelled media, found and cropped by the worker's own code, cached on disk between runs.

The store holds `index.jsonl`, a line per medium, and for videos and large pictures the cropped faces as PNG,
wide enough for any margin. Small pictures stay where they are; only their boxes are kept.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import structlog
from PIL import Image as Pictures
from PIL import ImageOps, UnidentifiedImageError

from core.errors import InputError
from core.model_version import CropSettings
from core.settings import DetectionSettings, QualitySettings
from models.crop import crop_face
from models.datasets.faces import FaceRecord
from models.datasets.media import LabelledMedia
from models.detector import FaceDetector
from models.face import Box, Face, Image, Landmarks

log = structlog.get_logger()

WIDE = CropSettings(margin=1.8)  # has room for a margin of 1.3, enlarged by a sixth and off centre
LONGEST_SIDE = 512  # pixels of a stored face: above every network's input
LARGE_PICTURE = 640 * 640  # pixels, above which a picture is cropped once instead of decoded at every step
TOGETHER = 32  # pictures detected at once
FORMAT = 1  # of the index

FrameReader = Callable[[Path], Iterable[Image]]
Progress = Callable[[int, int], None]  # media done, media in all


@dataclass(frozen=True, kw_only=True)
class LabelledFace:
    media: LabelledMedia
    record: FaceRecord
    landmarks_known: bool  # False for a cropped picture without a found face: no pseudo-fake is made of it


class CropStore:
    """Finds the faces of labelled media and remembers them."""

    def __init__(
        self,
        folder: Path,
        frames: FrameReader,
        *,
        frames_per_video: int,
        detection: DetectionSettings,
        quality: QualitySettings,
        device: str = "cpu",
    ) -> None:
        """`frames`: decodes `frames_per_video` frames of a video; InputError skips the video."""
        self._folder, self._frames, self._quality = folder, frames, quality
        self._detector = FaceDetector(detection, device)
        finding = detection.model_dump(exclude={"backend"})  # the faces are the same
        settings = [FORMAT, frames_per_video, WIDE.margin, finding, quality.model_dump()]
        self._settings = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
        self._rows = self._read_index()

    def faces(
        self, media: Sequence[LabelledMedia], progress: Progress = lambda _done, _all: None
    ) -> list[LabelledFace]:
        """The faces of all media, in their order; a medium without a usable face gives none."""
        self._folder.mkdir(parents=True, exist_ok=True)
        keys = {each.path: self._key(each) for each in media}
        missing = [each for each in media if keys[each.path] not in self._rows]
        done = len(media) - len(missing)
        progress(done, len(media))
        pictures = iter([each for each in missing if not each.is_video])
        while together := list(islice(pictures, TOGETHER)):
            for each, row in zip(together, self._pictures(together, keys), strict=True):
                self._remember(keys[each.path], row)
            done += len(together)
            progress(done, len(media))
        for each in missing:
            if each.is_video:
                self._remember(keys[each.path], self._video(each, keys[each.path]))
                done += 1
                progress(done, len(media))
        return [face for each in media for face in self._labelled(each, self._rows[keys[each.path]])]

    def _key(self, media: LabelledMedia) -> str:
        try:
            stat = media.path.stat()
        except OSError:
            return f"missing:{media.path}"
        made = f"{media.cropped}|{media.margin}|{self._settings}"
        stamp = f"{media.path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}|{made}"
        return hashlib.sha256(stamp.encode()).hexdigest()[:32]

    def _read_index(self) -> dict[str, dict[str, Any]]:
        rows = {}
        listing = self._folder / "index.jsonl"
        for line in listing.read_text().splitlines() if listing.is_file() else []:
            try:
                row = json.loads(line)
                rows[row["key"]] = row
            except (ValueError, KeyError, TypeError):  # the last line of a run that was killed
                continue
        return rows

    def _remember(self, key: str, row: dict[str, Any]) -> None:
        self._rows[key] = row
        with (self._folder / "index.jsonl").open("a") as index:
            index.write(json.dumps({"key": key, **row}) + "\n")

    def _video(self, media: LabelledMedia, key: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = []
        try:
            frames = iter(self._frames(media.path.resolve()))
            while batch := list(islice(frames, TOGETHER)):
                for frame, faces in zip(batch, self._detector.detect(batch), strict=True):
                    face = self._chosen(faces)
                    if face is not None:
                        found.append(self._cut(frame, face, f"{key[:2]}/{key}-{len(found):03}.png"))
        except InputError as error:
            log.warning("medium skipped", path=str(media.path), code=error.code)
            return {"error": error.code, "faces": []}
        return {"faces": found}

    def _pictures(self, media: Sequence[LabelledMedia], keys: dict[Path, str]) -> Iterator[dict[str, Any]]:
        images = [_read_picture(each.path) for each in media]
        readable = [image for image in images if image is not None]
        detected = iter(self._detector.detect(readable))
        for each, image in zip(media, images, strict=True):
            if image is None:
                log.warning("medium skipped", path=str(each.path), code="broken_media")
                yield {"error": "broken_media", "faces": []}
                continue
            face = self._chosen(next(detected))
            key = keys[each.path]
            if face is not None and image.shape[0] * image.shape[1] > LARGE_PICTURE:
                yield {"faces": [self._cut(image, face, f"{key[:2]}/{key}.png")]}
            elif face is not None:
                yield {"faces": [_row(None, face.box, face.landmarks, gray=_is_gray(image))]}
            elif each.cropped:
                yield {"faces": [_whole(image, each.margin or CropSettings().margin)]}
            else:
                yield {"faces": []}

    def _chosen(self, faces: Sequence[Face]) -> Face | None:
        """The largest face that the worker would accept: of several, it is whom the video is about."""
        usable = [
            face
            for face in faces
            if face.probability >= self._quality.min_probability
            and min(face.box.width, face.box.height) >= self._quality.min_pixels
        ]
        return max(usable, key=lambda face: face.box.width * face.box.height, default=None)

    def _cut(self, frame: Image, face: Face, name: str) -> dict[str, Any]:
        longer = max(face.box.width, face.box.height)
        side = max(1, round(WIDE.margin * longer))  # as crop_face has it
        size = min(side, LONGEST_SIDE)
        x, y = face.box.centre
        corner = np.array([round(x - side / 2), round(y - side / 2)], np.float32)
        scale = size / side
        path = self._folder / name
        path.parent.mkdir(exist_ok=True)
        partial = path.with_name(f".{path.name}")
        _, coded = cv2.imencode(".png", crop_face(frame, face.box, WIDE, size)[..., ::-1])
        partial.write_bytes(coded.tobytes())
        partial.replace(path)
        box = face.box
        moved = Box(
            x0=(box.x0 - float(corner[0])) * scale,
            y0=(box.y0 - float(corner[1])) * scale,
            x1=(box.x1 - float(corner[0])) * scale,
            y1=(box.y1 - float(corner[1])) * scale,
        )
        return _row(name, moved, (face.landmarks - corner) * np.float32(scale), gray=_is_gray(frame))

    def _labelled(self, media: LabelledMedia, row: dict[str, Any]) -> Iterator[LabelledFace]:
        for face in row["faces"]:
            known = face["landmarks"] is not None
            x0, y0, x1, y1 = face["box"]
            record = FaceRecord(
                source="gray_photo" if face["gray"] else "video" if media.is_video else "photo",
                group=media.group,
                box=Box(x0=x0, y0=y0, x1=x1, y1=y1),
                landmarks=np.asarray(face["landmarks"] if known else np.full((5, 2), np.nan), np.float32),
                path=self._folder / face["file"] if face["file"] else media.path,
            )
            yield LabelledFace(media=media, record=record, landmarks_known=known)


def _row(file: str | None, box: Box, landmarks: Landmarks | None, *, gray: bool) -> dict[str, Any]:
    return {
        "file": file,
        "box": [box.x0, box.y0, box.x1, box.y1],
        "landmarks": None if landmarks is None else landmarks.tolist(),
        "gray": gray,
    }


def _whole(image: Image, margin: float) -> dict[str, Any]:
    """The picture as one face whose crop it is."""
    height, width = image.shape[:2]
    side = min(height, width) / margin
    x, y = width / 2, height / 2
    box = Box(x0=x - side / 2, y0=y - side / 2, x1=x + side / 2, y1=y + side / 2)
    return _row(None, box, None, gray=_is_gray(image))


def _read_picture(path: Path) -> Image | None:
    """Upright RGB; None where it is damaged."""
    try:
        with Pictures.open(path) as picture:
            return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"), np.uint8)
    except (OSError, UnidentifiedImageError, ValueError, Pictures.DecompressionBombError):
        return None


def _is_gray(image: Image) -> bool:
    """Whether it has practically no colour."""
    return float(np.ptp(image[::4, ::4].astype(np.int16), axis=2).mean()) < 2
