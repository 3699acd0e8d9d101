"""Conditions: each leaves a clip worse in its own way."""

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from evaluation.robustness import CONDITIONS, MAIN, Condition, recorded_from_screen

FRAME = np.ascontiguousarray(astronaut()[0:224, 110:334])


def sharpness(image: np.ndarray) -> float:
    return float(cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())


def only(condition: Condition) -> np.ndarray:
    (frame,) = condition.apply([FRAME])
    return frame


def test_the_issues_conditions_are_there() -> None:
    assert [CONDITIONS[name].crf for name in ("crf 23", "crf 32", "crf 40")] == [23, 32, 40]
    assert {"half size", "blur", "noise", "screenshot"} < set(CONDITIONS)
    assert set(MAIN) <= set(CONDITIONS)


@pytest.mark.parametrize("name", MAIN)
def test_compression_alone_leaves_the_frames_to_the_encoder(name: str) -> None:
    assert (only(CONDITIONS[name]) == FRAME).all()


def test_half_size_halves_both_sides() -> None:
    assert only(CONDITIONS["half size"]).shape == (112, 112, 3)


def test_blur_takes_detail_and_noise_adds_it() -> None:
    assert sharpness(only(CONDITIONS["blur"])) < 0.3 * sharpness(FRAME)
    assert sharpness(only(CONDITIONS["noise"])) > 1.5 * sharpness(FRAME)


def test_noise_differs_from_frame_to_frame_but_not_from_run_to_run() -> None:
    first, second = CONDITIONS["noise"].apply([FRAME, FRAME])
    assert (first != second).any()
    again, _ = CONDITIONS["noise"].apply([FRAME, FRAME])
    assert (first == again).all()


def test_a_recorded_screen_is_smaller_and_flatter() -> None:
    shown = recorded_from_screen(FRAME)
    assert shown.shape == (186, 186, 3)
    assert shown.std() < FRAME.std()
    assert np.percentile(shown, 5) > np.percentile(FRAME, 5)
