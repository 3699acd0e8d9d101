"""How false alarms grow with faces and minutes."""

import numpy as np
import pytest

from core.model_version import Calibration, Looks
from evaluation.growth import FACES, MINUTES, Known, by_faces, by_minutes, worst

RNG = np.random.default_rng(3)
LOOKS = Looks(centre=-2.0, spread=1.5, repeat=0.3)
CALIBRATION = Calibration(looks=LOOKS)
THRESHOLD = CALIBRATION.probability(0.5)  # one genuine face in 21 reaches it


@pytest.fixture(scope="module")
def known() -> list[Known]:
    genuine = [
        Known(group=f"g{n}", fake=False, face=(logit,)) for n, logit in enumerate(RNG.normal(-2, 1.5, 400))
    ]
    return [*genuine, *(Known(group=f"f{n}", fake=True, face=(4.0,)) for n in range(20))]


def test_alarms_grow_with_faces_before_and_hardly_after(known: list[Known]) -> None:
    rows = by_faces(known, CALIBRATION, threshold=THRESHOLD)
    assert [row["faces"] for row in rows] == list(FACES)
    before, after = zip(*(row["genuine"] for row in rows), strict=True)
    assert before[0] == after[0] == pytest.approx(0.05, abs=0.03)
    assert before[-1] > 0.7
    assert max(after) < 0.15
    for row in rows:
        found_before, found_after = row["one_fake"]
        assert found_before == 1.0
        assert found_after > 0.95


def test_alarms_grow_with_minutes_before_and_less_after() -> None:
    faces = [RNG.normal(mean, 1.5, 12) for mean in RNG.normal(-2.0, 1.2, 40)]
    known = [Known(group=str(n), fake=False, face=tuple(face)) for n, face in enumerate(faces)]
    rows = by_minutes(known, CALIBRATION, threshold=THRESHOLD)
    assert [row["minutes"] for row in rows] == list(MINUTES)
    before, after = zip(*(row["genuine"] for row in rows), strict=True)
    assert before[-1] > before[0]
    assert after[-1] - after[0] < before[-1] - before[0]


def test_a_short_face_alone_is_worth_what_it_is() -> None:
    assert worst([(3.0,)], CALIBRATION) == (3.0, 3.0)
    highest, lone = worst([(3.0,)] + [(-2.0,)] * 23, CALIBRATION)
    assert highest == 3.0 > lone
