"""A pack comes back as it was written; what is no pack, or damaged, is an error that names the file."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pictures

from core.errors import SettingsError
from models.training.gpu.pack import FACE_PIXELS, MARGIN, Pack, cut, joined, read_pack, write_pack
from tests.face_pack import BOX, LANDMARKS, PHOTOGRAPH


def test_a_pack_comes_back_as_it_was_written(pack: Pack, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "pack.safetensors"
    write_pack(path, replace(pack, command="facewarden pack --data films"))
    back = read_pack(path)
    assert list(back.faces) == list(pack.faces)
    assert list(back.pictures) == list(pack.pictures)
    assert (back.boxes == pack.boxes).all()
    assert (back.landmarks == pack.landmarks).all()
    assert back.command == "facewarden pack --data films"
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    both = joined([back, pack])
    assert (len(both.faces), len(both.pictures), len(both.boxes)) == (24, 24, 24)


def test_what_is_no_pack_is_an_error_that_names_it(pack: Pack, tmp_path: Path) -> None:
    path = tmp_path / "pack.safetensors"
    with pytest.raises(SettingsError, match=r"pack\.safetensors.*facewarden pack"):
        read_pack(path)
    write_pack(path, pack)
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:3], b"", whole.replace(b'"boxes"', b'"foxes"', 1)):
        path.write_bytes(damaged)
        with pytest.raises(SettingsError, match=r"pack\.safetensors"):
            read_pack(path)
    write_pack(path, replace(pack, boxes=pack.boxes[1:]))
    with pytest.raises(SettingsError, match="damaged"):
        read_pack(path)


def test_a_face_is_cut_with_its_surroundings_and_its_places_move_with_it() -> None:
    coded, box, landmarks = cut(PHOTOGRAPH, BOX, LANDMARKS)
    picture = np.asarray(Pictures.open(io.BytesIO(coded)))
    assert box[3] - box[1] == pytest.approx(BOX.height)  # it is small: not scaled
    x, y = landmarks[2].round().astype(int)
    there, here = picture[y, x].astype(int), PHOTOGRAPH[tuple(LANDMARKS[2].round().astype(int)[::-1])]
    assert np.abs(there - here).max() < 20
    large = np.kron(PHOTOGRAPH, np.ones((3, 3, 1), np.uint8))
    wide = BOX.__class__(**{name: 3 * value for name, value in vars(BOX).items()})
    coded, box, landmarks = cut(large, wide, LANDMARKS * 3)
    assert box[3] - box[1] == pytest.approx(FACE_PIXELS)
    assert max(Pictures.open(io.BytesIO(coded)).size) <= FACE_PIXELS * MARGIN + 1
    assert np.allclose(landmarks.mean(0) - box[:2], (LANDMARKS.mean(0) - [66, 50]) * FACE_PIXELS / BOX.height)
