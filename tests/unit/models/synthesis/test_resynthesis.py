"""Faces made anew: seen, still a face, and nowhere but under the mask."""

from functools import partial

import cv2
import numpy as np
import pytest

from models.synthesis.kinds import make
from models.synthesis.resynthesis import RESYNTHESES
from tests import forged_face
from tests.forged_face import ODD_CROP as CROP
from tests.forged_face import masks_of

forgery = partial(forged_face.forgery, image=CROP)


@pytest.mark.parametrize("kind", RESYNTHESES)
def test_the_same_seed_gives_the_same_fake(kind: str) -> None:
    fake = make(kind, forgery(5))
    assert (make(kind, forgery(5)) == fake).all()
    assert (make(kind, forgery(6)) != fake).any()
    assert fake.shape == CROP.shape
    assert fake.dtype == np.uint8


@pytest.mark.parametrize("kind", RESYNTHESES)
def test_only_what_lies_under_the_mask_changes(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    masks = masks_of("models.synthesis.resynthesis", monkeypatch)
    for seed in range(4):
        fake = make(kind, forgery(seed, difficulty=seed / 4))
        assert (fake[masks[-1] == 0] == CROP[masks[-1] == 0]).all()
        inside = masks[-1] > 0.4
        assert 1 < np.abs(fake.astype(int) - CROP)[inside].mean() < 40  # seen, and still a face


@pytest.mark.parametrize("kind", RESYNTHESES)
def test_a_gray_face_gives_a_gray_fake(kind: str) -> None:
    fake = make(kind, forgery(2, gray=True)).astype(int)
    assert np.ptp(fake, axis=2).max() == 0
    assert np.abs(fake[..., 0] - forgery(2, gray=True).target.image[..., 0]).max() > 3


def test_little_detail_comes_through_few_components() -> None:
    """What an autoencoder gives back is smoother than what went in."""
    fake = make("autoencode", forgery(1, difficulty=0.0))
    inside = (slice(70, 120), slice(55, 105))
    detail = [cv2.Laplacian(each[inside], cv2.CV_32F).std() for each in (fake, CROP)]
    assert detail[0] < 0.9 * detail[1]
