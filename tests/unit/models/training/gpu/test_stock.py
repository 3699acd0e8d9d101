"""Crops of the stock are the worker's crops; face coordinates go there and back."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image as Pictures

from core.errors import SettingsError
from core.model_version import CropSettings
from models.crop import crop_face
from models.face import LEVELLED_FROM, Box
from models.mean_face import MEAN_LANDMARKS
from models.training.gpu.pack import Pack
from models.training.gpu.stock import Stock
from tests.face_pack import view


def test_a_crop_is_the_one_that_the_worker_would_cut(stock: Stock, pack: Pack) -> None:
    places = torch.arange(3)
    size = 112
    crops = stock.sample(places, stock.grid(places, view(3, margin=1.1), size))
    assert crops.shape == (3, 3, size, size)
    for crop, place in zip(crops, places.tolist(), strict=True):
        picture = np.asarray(Pictures.open(io.BytesIO(pack.pictures[place])))
        x0, y0, x1, y1 = map(float, pack.boxes[place])
        box = Box(x0=x0, y0=y0, x1=x1, y1=y1)
        wanted = crop_face(picture, box, CropSettings(margin=1.1), size).astype(np.float32)
        difference = np.abs(crop.permute(1, 2, 0).numpy() * 255 - wanted)
        assert difference.mean() < 4  # of 255: half a pixel's rounding
        assert np.corrcoef(crop.permute(1, 2, 0).numpy().ravel(), wanted.ravel())[0, 1] > 0.99


def test_a_mirrored_crop_is_the_mirror_image(stock: Stock) -> None:
    place = torch.arange(1)
    plain = stock.sample(place, stock.grid(place, view(1), 48))
    mirrored = stock.sample(place, stock.grid(place, view(1, mirrored=True), 48))
    assert torch.allclose(plain.flip(3), mirrored, atol=1e-3)


def test_a_crop_keeps_to_its_picture(stock: Stock, pack: Pack) -> None:
    place = torch.arange(1)
    grid = stock.grid(place, view(1, margin=5.0), 32)
    height = Pictures.open(io.BytesIO(pack.pictures[0])).size[1]
    assert float(grid[..., 1].max() - grid[..., 1].min()) < 1.15 * height


def test_a_crop_with_edges_is_as_wide_as_wanted(stock: Stock, pack: Pack) -> None:
    place = torch.arange(1)
    grid = stock.grid(place, view(1, margin=5.0, edges=True), 32)
    side = float((pack.boxes[0, 2:] - pack.boxes[0, :2]).max())
    assert float(grid[..., 1].max() - grid[..., 1].min()) == pytest.approx(5 * side * 31 / 32, rel=1e-3)
    assert torch.isfinite(stock.sample(place, grid)).all()


@pytest.mark.parametrize("tilt", [-40.0, 6.0, 25.0])
def test_tilted_heads_are_levelled_as_the_worker_does(pack: Pack, tilt: float) -> None:
    turn = np.radians(tilt)
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]], np.float32)
    centre = pack.landmarks.mean(axis=1, keepdims=True)
    turned = Stock(replace(pack, landmarks=(pack.landmarks - centre) @ matrix + centre), "cpu")
    grid = turned.grid(torch.arange(1), view(1), 33)
    across = grid[0, 16, -1] - grid[0, 16, 0]
    angle = np.degrees(np.arctan2(float(across[1]), float(across[0])))
    eyes = turned._landmarks[0, 1] - turned._landmarks[0, 0]
    wanted = np.degrees(np.arctan2(float(eyes[1]), float(eyes[0]))) if abs(tilt) > LEVELLED_FROM else 0.0
    assert angle == pytest.approx(wanted, abs=0.1)


def test_face_coordinates_go_there_and_back(stock: Stock, pack: Pack) -> None:
    places = torch.arange(2)
    frames = stock.frames(places)
    points = torch.from_numpy(MEAN_LANDMARKS)[None, None].expand(2, 1, -1, -1)
    pixels = frames.pixels(points)
    assert torch.allclose(frames.of(pixels), points, atol=1e-4)
    # The photograph's landmarks are the mean face's: they are where they belong.
    assert np.allclose(pixels[0, 0].numpy(), pack.landmarks[0], atol=0.5)


def test_unknown_landmarks_are_guessed_from_the_box(pack: Pack) -> None:
    landmarks = pack.landmarks.copy()
    landmarks[1] = np.nan
    guessed = Stock(replace(pack, landmarks=landmarks), "cpu")
    assert guessed.landmarks_known.tolist() == [True, False] + [True] * 10
    frames = guessed.frames(torch.arange(2))
    assert torch.isfinite(frames.origin).all()
    assert float((frames.origin[1] - frames.origin[0]).norm()) < 30


@pytest.mark.parametrize("damage", ["cut off", "no picture", "too large"])
def test_a_damaged_picture_is_an_error_that_names_its_clip(pack: Pack, damage: str) -> None:
    large = io.BytesIO()
    Pictures.new("RGB", (900, 40)).save(large, "jpeg")
    whole = pack.pictures[0]
    spoiled = {"cut off": whole[: len(whole) // 3], "no picture": b"GIF89a", "too large": large.getvalue()}
    with pytest.raises(SettingsError, match="g0/genuine"):
        Stock(replace(pack, pictures=[spoiled[damage], *pack.pictures[1:]]), "cpu")
