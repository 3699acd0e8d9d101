"""Renderers: a face drawn anew is that face, seen through little; damaged weights are an error."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.data import astronaut

from core.errors import WeightsError
from models.mean_face import MEAN_LANDMARKS
from models.synthesis.renderers import (
    ALIGNED,
    RENDERERS,
    SIDE,
    WEIGHTS,
    aligned,
    as_tensor,
    load_renderer,
    rendered,
    renderer_record,
)

PHOTOGRAPH = np.ascontiguousarray(astronaut()[0:224, 110:334])
LANDMARKS = (MEAN_LANDMARKS * 45 + np.array([112, 90])).astype(np.float32)
FACE = np.s_[75:165, 70:155]


def test_an_aligned_face_has_its_landmarks_where_they_belong() -> None:
    marked = np.zeros((224, 224, 3), np.uint8)
    for x, y in LANDMARKS.round().astype(int):
        marked[y - 2 : y + 3, x - 2 : x + 3] = 255
    face = aligned(marked, LANDMARKS)
    assert face.shape == (SIDE, SIDE, 3)
    for x, y in ALIGNED.round().astype(int):
        assert face[y, x].min() > 200
    assert 0 < ALIGNED.min() < ALIGNED.max() < SIDE


@pytest.mark.parametrize("name", RENDERERS)
def test_a_drawn_face_is_the_face_and_yet_not_its_pixels(name: str) -> None:
    drawn = rendered(name, PHOTOGRAPH, LANDMARKS)
    assert drawn.shape == PHOTOGRAPH.shape
    assert drawn.dtype == np.uint8
    face, original = drawn[FACE].astype(float), PHOTOGRAPH[FACE].astype(float)
    assert 2 < np.abs(face - original).mean() < 30
    assert np.corrcoef(face.ravel(), original.ravel())[0, 1] > 0.85
    assert (drawn == rendered(name, PHOTOGRAPH, LANDMARKS)).all()


@pytest.mark.parametrize("name", RENDERERS)
def test_renderers_see_less_than_they_draw(name: str) -> None:
    """Detail of one pixel does not come through: what is drawn of it is the network's own."""
    faces = np.full((1, SIDE, SIDE, 3), 128, np.uint8)
    faces[:, ::2, ::2] = 131
    network = load_renderer(name)
    with torch.inference_mode():
        fine, plain = network(as_tensor(faces)), network(as_tensor(np.full_like(faces, 129)))
    assert fine.shape == (1, 3, SIDE, SIDE)
    assert float((fine - plain).abs().mean()) < 0.02


def test_damaged_and_missing_weights_are_an_error_that_names_them(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.safetensors"):
        load_renderer("decoder", tmp_path / "none.safetensors")
    for suffix in ("", ".sha256"):
        shutil.copy(f"{WEIGHTS}{suffix}", tmp_path)
    copy = tmp_path / WEIGHTS.name
    assert load_renderer("decoder", copy)
    content = bytearray(copy.read_bytes())
    content[-1] ^= 1
    copy.write_bytes(content)
    with pytest.raises(WeightsError, match="SHA-256"):
        load_renderer("painter", copy)


def test_the_record_says_which_they_are() -> None:
    record = renderer_record()
    assert record["sha256"] == Path(f"{WEIGHTS}.sha256").read_text().split()[0]
    assert record["steps"] > 0
