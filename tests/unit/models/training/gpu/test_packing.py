"""A pack holds what there is room for, evenly and in whole groups, and says of what corpus each face is."""

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.errors import SettingsError
from models.datasets.crops import LabelledFace
from models.datasets.faces import FaceRecord
from models.datasets.media import LabelledMedia
from models.training.gpu.pack import write_pack
from models.training.gpu.packing import Packer
from tests import face_folder
from tests.face_pack import BOX, LANDMARKS, PHOTOGRAPH, described

PLENTY = 2**30  # bytes
FACE = FaceRecord(source="photo", group="", box=BOX, landmarks=LANDMARKS, image=PHOTOGRAPH)


def collected() -> Packer:
    """A large corpus of pairs and a small one of genuine faces and fakes apart."""
    packer = Packer()
    for number in range(30):
        for fake in (False, True):
            packer.add(FACE, described(corpus="large", source="l", group=f"l{number}", fake=fake))
    for number in range(4):
        for fake in (False, True):
            packer.add(FACE, described(corpus="small", source="s", group=f"s{number}{fake}", fake=fake))
    return packer


def test_everything_is_kept_where_there_is_room() -> None:
    made = collected().pack(PLENTY)
    assert len(made.pack.faces) == len(made.pack.pictures) == 68
    assert not made.left_out
    assert made.pack.boxes.shape == (68, 4)


def test_where_there_is_little_room_all_corpora_and_classes_get_some_and_pairs_stay_whole() -> None:
    each = len(collected().pack(PLENTY).pack.pictures[0]) + 300  # bytes of a face, about
    made = collected().pack(24 * each)
    counts = Counter((face.corpus, face.fake) for face in made.pack.faces)
    assert counts["small", False] == counts["small", True] == 4
    assert 5 <= counts["large", False] == counts["large", True] <= 9
    assert made.left_out == {("large", fake): 30 - counts["large", fake] for fake in (False, True)}
    groups = Counter(face.group for face in made.pack.faces if face.corpus == "large")
    assert set(groups.values()) == {2}
    again = collected().pack(24 * each)
    assert again.pack.faces == made.pack.faces


def test_the_bytes_are_those_of_the_file(tmp_path: Path) -> None:
    for budget in (100_000, 200_000):
        made = collected().pack(budget)
        write_pack(tmp_path / "pack.safetensors", made.pack)
        assert 0.8 * budget < (tmp_path / "pack.safetensors").stat().st_size < 1.02 * budget
    with pytest.raises(SettingsError, match="1000 bytes"):
        collected().pack(1000)


def test_a_damaged_picture_is_left_out_and_counted(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    packer = collected()
    packer.add(
        FaceRecord(source="photo", group="", box=BOX, landmarks=LANDMARKS, path=broken),
        described(corpus="large", group="broken"),
    )
    made = packer.pack(PLENTY)
    assert made.damaged == 1
    assert len(made.pack.faces) == 68


def labelled(root: Path, *names: tuple[str, str]) -> list[LabelledFace]:
    return [
        LabelledFace(
            media=LabelledMedia(
                path=root / name,
                fake=True,
                method="m",
                group=name,
                split="test",
                source="films",
                corpus=corpus,
                family="swap",
            ),
            record=FACE,
            landmarks_known=True,
        )
        for name, corpus in names
    ]


def test_a_face_knows_its_corpus_and_clip(tmp_path: Path) -> None:
    packer = Packer()
    packer.add_labelled(
        labelled(tmp_path, ("tools/a.png", "tools"), ("videos/a.mp4", "videos"), ("b.png", "")), tmp_path
    )
    # Of a data set without frames of its clips.
    packer.add_labelled(labelled(tmp_path / "other", ("videos/c.mp4", "videos")), tmp_path)
    faces = {face.clip: face for face in packer.pack(PLENTY).pack.faces}
    assert {clip: face.corpus for clip, face in faces.items()} == {
        "tools/a.png": "tools",
        "videos/a.mp4": "tools",
        "b.png": "films",
        "other/videos/c.mp4": "videos",
    }
    face = faces["b.png"]
    assert (face.fake, face.family, face.method, face.side) == (True, "swap", "m", "test")


def test_genuine_faces_are_divided_as_everywhere(tmp_path: Path) -> None:
    packer = Packer()
    packer.add_genuine(face_folder.make(tmp_path, faces=40))
    made = packer.pack(PLENTY).pack
    sides = Counter(face.side for face in made.faces)
    assert sides.total() == 40
    assert 0 < sides["test"] < sides["train"]
    assert {(face.corpus, face.method, face.fake) for face in made.faces} == {("photo", "genuine", False)}
    first = cv2.imdecode(np.frombuffer(made.pictures[0], np.uint8), cv2.IMREAD_COLOR)
    assert min(first.shape[:2]) > 100
