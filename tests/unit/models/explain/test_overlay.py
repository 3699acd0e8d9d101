"""Overlays that a reviewer can read."""

import cv2
import numpy as np

from core.outcomes import ExplanationMethod
from models.explain.explanation import Explanation
from models.explain.overlay import render

CROP = np.full((96, 96, 3), 128, np.uint8)


def decoded(png: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_lime_shows_for_and_against() -> None:
    segments = np.zeros((96, 96), np.int32)
    segments[:, 48:] = 1
    explanation = Explanation(
        method=ExplanationMethod.LIME,
        parameters={},
        segments=segments,
        weights=[0.5, -0.2],
        top_segments=[0, 1],
        heat=np.where(segments == 0, 1.0, -0.4).astype(np.float32),
    )
    pictures = {name: decoded(png) for name, png in render(CROP, explanation).items()}
    assert set(pictures) == {"heat", "boundaries", "positive"}
    assert all(picture.shape == (384, 384, 3) for picture in pictures.values())
    left, right = pictures["heat"][200, 60].astype(int), pictures["heat"][200, 330].astype(int)
    assert left[0] > left[2]  # red speaks for fake
    assert right[2] > right[0]  # blue against
    assert pictures["positive"][200, 330].max() < 60  # what speaks against is darkened
    assert (pictures["positive"][200, 60] == 128).all()


def test_grad_cam_is_a_heat_map_only() -> None:
    explanation = Explanation(
        method=ExplanationMethod.GRAD_CAM, parameters={}, heat=np.zeros((96, 96), np.float32)
    )
    assert set(render(CROP, explanation)) == {"heat"}
    assert (decoded(render(CROP, explanation)["heat"]) == 128).all()


def test_lines_show_on_dark_and_bright_ground() -> None:
    segments = np.zeros((96, 96), np.int32)
    segments[24:72, 24:72] = 1
    for ground in (0, 255):
        explanation = Explanation(
            method=ExplanationMethod.LIME,
            parameters={},
            segments=segments,
            weights=[0.0, 0.3],
            top_segments=[1],
            heat=np.zeros((96, 96), np.float32),
        )
        crop = np.full((96, 96, 3), ground, np.uint8)
        outlined = decoded(render(crop, explanation)["boundaries"]).astype(int)
        line = (outlined[..., 0] > 200) & (outlined[..., 1] < 60)
        assert line[:, 192].any()
        assert (outlined[192, 192] == ground).all()  # the inside stays as it was


def test_heat_shows_on_red_skin() -> None:
    skin = np.full((96, 96, 3), (200, 60, 60), np.uint8)
    heat = np.zeros((96, 96), np.float32)
    heat[:, 48:] = 1
    explanation = Explanation(method=ExplanationMethod.GRAD_CAM, parameters={}, heat=heat)
    picture = decoded(render(skin, explanation)["heat"]).astype(int)
    cold, hot = picture[200, 60], picture[200, 330]
    assert np.ptp(cold) == 0
    assert hot[0] - hot[2] > 80
