"""Explanations as overlays on the crop, for reviewers."""

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import find_boundaries

from core.outcomes import ExplanationMethod
from models.explain.explanation import Explanation
from models.face import Image

SHORTEST_SIDE = 384  # pixels: a small crop is enlarged, so that thin lines can be seen
FOR_FAKE = np.array([220, 40, 50], np.float32)
FOR_GENUINE = np.array([40, 110, 220], np.float32)
EDGE = np.array([255, 255, 255], np.float32)  # around a line: it must be visible on hair and skin alike
STRONGEST = 0.6  # opacity where the heat is 1: the face must stay recognisable


def render(crop: Image, explanation: Explanation) -> dict[str, bytes]:
    """PNG pictures by name.

    `heat`: red points to fake, blue away from it, on the crop in gray. For LIME also `boundaries`: the
    top segments outlined, and `positive`: only the top segments that point to fake, the rest darkened.
    """
    factor = max(1, -(-SHORTEST_SIDE // min(crop.shape[:2])))
    large = _enlarge(crop, factor)
    pictures = {"heat": _heat(large, _smooth(explanation.heat, factor))}
    if explanation.method == ExplanationMethod.LIME and explanation.segments is not None:
        segments = np.kron(explanation.segments, np.ones((factor, factor), np.int32))
        top = list(explanation.top_segments)
        weights = np.asarray(explanation.weights)
        pictures["boundaries"] = _outline(large, segments, top, weights)
        pictures["positive"] = _only(large, segments, [number for number in top if weights[number] > 0])
    return {name: _png(picture) for name, picture in pictures.items()}


def _enlarge(crop: Image, factor: int) -> Image:
    size = (crop.shape[1] * factor, crop.shape[0] * factor)
    return np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def _smooth(heat: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    size = (heat.shape[1] * factor, heat.shape[0] * factor)
    return np.asarray(cv2.resize(heat, size, interpolation=cv2.INTER_LINEAR), np.float32)


def _heat(picture: Image, heat: NDArray[np.float32]) -> Image:
    colour = np.where(heat[..., None] > 0, FOR_FAKE, FOR_GENUINE)
    opacity = STRONGEST * np.abs(heat)[..., None]
    # On gray, because skin and lips are red themselves.
    return np.asarray((_gray(picture) * (1 - opacity) + colour * opacity).round(), np.uint8)


def _outline(
    picture: Image, segments: NDArray[np.int32], top: list[int], weights: NDArray[np.float64]
) -> Image:
    drawn = picture.copy()
    # The weakest first, so that the strongest segment's line is on top.
    for number in reversed(top):
        line = find_boundaries(segments == number, mode="thick").astype(np.uint8)
        drawn[cv2.dilate(line, np.ones((5, 5), np.uint8)) > 0] = EDGE
        drawn[cv2.dilate(line, np.ones((3, 3), np.uint8)) > 0] = (
            FOR_FAKE if weights[number] > 0 else FOR_GENUINE
        )
    return drawn


def _only(picture: Image, segments: NDArray[np.int32], shown: list[int]) -> Image:
    inside = np.isin(segments, shown)[..., None]
    return np.asarray(np.where(inside, picture, (_gray(picture) * 0.35).astype(np.uint8)), np.uint8)


def _gray(picture: Image) -> Image:
    return np.asarray(cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)


def _png(picture: Image) -> bytes:
    _, coded = cv2.imencode(".png", picture[..., ::-1])
    return coded.tobytes()
