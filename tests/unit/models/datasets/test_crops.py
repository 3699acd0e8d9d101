"""Faces of labelled media are cut as the worker cuts them, once."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from core.errors import BrokenMedia
from core.model_version import CropSettings
from core.settings import DetectionSettings, QualitySettings
from models.crop import crop_face
from models.datasets.crops import CropStore
from models.datasets.media import GENUINE, LabelledMedia
from models.detector import FaceDetector
from models.face import Image

CROP = CropSettings(margin=1.3)


def store(folder: Path, frames: dict[str, list[Image]]) -> CropStore:
    def read(path: Path) -> Iterator[Image]:
        if path.name not in frames:
            raise BrokenMedia(name=path.name, reason="test")
        yield from frames[path.name]

    return CropStore(
        folder, read, frames_per_video=2, detection=DetectionSettings(), quality=QualitySettings()
    )


def media(path: Path, *, cropped: bool = False) -> LabelledMedia:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_bytes(b"video")
    return LabelledMedia(path=path, fake=False, method=GENUINE, group=path.stem, split=None, cropped=cropped)


def frame() -> Image:
    return np.ascontiguousarray(astronaut()[:300, 60:420])


def test_a_videos_face_is_the_workers_crop(tmp_path: Path) -> None:
    frames = [frame(), np.ascontiguousarray(frame()[:, ::-1]), np.zeros_like(frame())]
    faces = store(tmp_path / "crops", {"a.mp4": frames}).faces([media(tmp_path / "a.mp4")])
    assert len(faces) == 2  # none on the black frame
    for labelled, image in zip(faces, frames, strict=False):
        found = FaceDetector(DetectionSettings()).detect([image])[0][0]
        record = labelled.record
        ours = crop_face(record.load(), record.box, CROP, 96)
        theirs = crop_face(image, found.box, CROP, 96)
        assert np.abs(ours.astype(int) - theirs).max() == 0
        eyes = record.landmarks[1] - record.landmarks[0]
        assert eyes == pytest.approx(found.landmarks[1] - found.landmarks[0], abs=1e-3)
        assert labelled.landmarks_known


def test_what_was_found_once_is_not_looked_for_again(tmp_path: Path) -> None:
    wanted = [media(tmp_path / "a.mp4"), media(tmp_path / "broken.mp4")]
    told: list[tuple[int, int]] = []
    first = store(tmp_path / "crops", {"a.mp4": [frame()]}).faces(wanted, lambda *done: told.append(done))
    assert told == [(0, 2), (1, 2), (2, 2)]
    with (tmp_path / "crops" / "index.jsonl").open("a") as index:
        index.write('{"key": "torn by a ki')
    again = store(tmp_path / "crops", {}).faces(wanted)
    assert [face.record.path for face in again] == [face.record.path for face in first]
    assert len(first) == 1
    (tmp_path / "a.mp4").write_bytes(b"another video")
    assert store(tmp_path / "crops", {}).faces(wanted) == []


def test_small_pictures_stay_where_they_are_and_large_ones_are_cut(tmp_path: Path) -> None:
    small, large = tmp_path / "real" / "small.png", tmp_path / "real" / "large.png"
    small.parent.mkdir()
    cv2.imwrite(str(small), frame()[..., ::-1])
    cv2.imwrite(str(large), cv2.resize(frame(), None, fx=3, fy=3)[..., ::-1])
    faces = store(tmp_path / "crops", {}).faces([media(small), media(large)])
    paths = [face.record.path for face in faces]
    assert paths[0] == small
    assert paths[1] is not None
    assert paths[1].parent.parent == tmp_path / "crops"
    crops = [crop_face(face.record.load(), face.record.box, CROP, 64).astype(int) for face in faces]
    assert np.corrcoef(crops[0].ravel(), crops[1].ravel())[0, 1] > 0.9  # the same face either way


def test_a_cropped_picture_without_a_face_counts_whole(tmp_path: Path) -> None:
    for name in ("plain.png", "cropped.png", "damaged.png"):
        cv2.imwrite(str(tmp_path / name), np.full((120, 100, 3), 90, np.uint8))
    (tmp_path / "damaged.png").write_bytes(b"no picture")
    wanted = [media(tmp_path / "plain.png"), media(tmp_path / "damaged.png")]
    assert store(tmp_path / "crops", {}).faces(wanted) == []
    (face,) = store(tmp_path / "crops", {}).faces([media(tmp_path / "cropped.png", cropped=True)])
    assert not face.landmarks_known
    assert face.record.source == "gray_photo"
    assert crop_face(face.record.load(), face.record.box, CROP, 100).shape == (100, 100, 3)


def test_the_largest_usable_face_is_taken(tmp_path: Path) -> None:
    near = frame()
    far = cv2.resize(near, None, fx=0.4, fy=0.4)
    both = np.zeros((320, 560, 3), np.uint8)
    both[: far.shape[0], 400 : 400 + far.shape[1]] = far
    both[: near.shape[0], : near.shape[1]] = near
    assert len(FaceDetector(DetectionSettings()).detect([both])[0]) == 2
    (face,) = store(tmp_path / "crops", {"a.mp4": [both]}).faces([media(tmp_path / "a.mp4")])
    assert face.record.box.width > 60
