"""Dividing a face crop into the segments whose presence LIME turns on and off."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import quickshift, slic

from core.settings import LimeSettings
from models.explain.face_parts import face_parts
from models.face import Image, Landmarks


@dataclass(frozen=True, kw_only=True)
class Segments:
    numbers: NDArray[np.int32]  # (S, S), of each pixel, from 0 without gaps
    parts: Sequence[str] = ()  # of the face, per segment; empty where segments are no parts of a face
    made_by: str = ""  # "parts", "slic" or "quickshift"

    @property
    def count(self) -> int:
        return int(self.numbers.max()) + 1


def segment(crop: Image, settings: LimeSettings, landmarks: Landmarks | None = None) -> Segments:
    """The crop's segments, as the settings want them; the same crop always gives the same.

    Without usable `landmarks`, in pixels of the crop, SLIC takes the place of the parts of the face.

    SLIC (Achanta et al., 2012) is ten times faster than quickshift (Vedaldi & Soatto, 2008), which the
    papers on deepfakes use with ratio 0.2 and max_dist 200, the lime package's defaults.
    """
    if settings.segmentation == "parts" and landmarks is not None:
        found = face_parts(len(crop), landmarks)
        if found is not None:
            return Segments(numbers=found[0], parts=found[1], made_by="parts")
    if settings.segmentation == "quickshift":
        # A fixed `rng`: quickshift breaks ties at random, and lime drops the seed that it is given.
        return _numbered(quickshift(crop, kernel_size=4, max_dist=200, ratio=0.2, rng=0), "quickshift")
    return _numbered(slic(crop, n_segments=settings.segments, compactness=10, sigma=1, start_label=0), "slic")


def _numbered(found: NDArray[np.int64], made_by: str) -> Segments:
    numbers = np.unique(found, return_inverse=True)[1].reshape(found.shape).astype(np.int32)
    return Segments(numbers=numbers, made_by=made_by)
