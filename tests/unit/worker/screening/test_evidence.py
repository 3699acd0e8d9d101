"""What is kept of the pictures while the verdict is not known yet."""

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.face import Box, Face, Image
from worker.screening.evidence import MOST_KEPT, Candidate, in_turn, jpeg, png, worth_keeping
from worker.screening.quality import Quality

FACE = Face(box=Box(x0=0, y0=0, x1=60, y1=60), landmarks=np.zeros((5, 2), np.float32), probability=0.99)
CROP: Image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def candidate(track: int, logit: float | None, *, crop: Image | None = CROP) -> Candidate:
    quality = Quality(sharpness=100.0, yaw=0.0, roll=0.0, rejection=None)
    return Candidate(
        frame=0,
        time=0.0,
        stream=0,
        frame_size=(64, 48),
        face=FACE,
        quality=quality,
        crop=crop,
        track=track,
        logit=logit,
    )


def keep(candidates: list[Candidate]) -> list[Candidate]:
    return worth_keeping(candidates, per_track=3, top_fraction=0.5, min_frames=3)


def test_each_tracks_best_comes_before_any_ones_second() -> None:
    calm = [candidate(0, logit) for logit in (1.0, 3.0, 2.0)]
    loud = [candidate(1, logit) for logit in (9.0, 7.0, 8.0)]
    order = [(one.track, one.logit) for one in in_turn([calm, loud], per_track=2)]
    assert order == [(0, 3.0), (1, 9.0), (0, 2.0), (1, 8.0)]


def test_the_best_of_a_track_stay_and_the_unjudged_are_not_its_business() -> None:
    track = [candidate(0, logit) for logit in (0.5, 4.0, -1.0, 3.0, 2.0)]
    kept = keep([*track, candidate(0, None)])
    assert [one.logit for one in kept] == [4.0, 3.0, 2.0]


def test_a_track_without_support_cannot_push_out_one_that_has_it() -> None:
    outliers = [candidate(1 + number, 50.0) for number in range(2 * MOST_KEPT)]
    steady = [candidate(0, 1.0) for _ in range(3)]
    kept = keep([*outliers, *steady])
    assert kept[0] is steady[0]
    assert len(kept) == MOST_KEPT


@given(st.lists(st.tuples(st.integers(0, 40), st.floats(-30, 30)), max_size=200))
def test_however_many_faces_only_so_many_keep_their_pixels(faces: list[tuple[int, float]]) -> None:
    candidates = [candidate(track, logit) for track, logit in faces]
    kept = keep(candidates)
    assert len(kept) == len({id(one) for one in kept}) <= MOST_KEPT
    if candidates:
        assert kept
    again = keep([one for one in candidates if one in kept])
    assert len(again) == len(kept)


def test_a_crop_is_stored_without_loss_and_a_frame_nearly_so() -> None:
    decoded = cv2.imdecode(np.frombuffer(png(CROP), np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert np.array_equal(decoded[..., ::-1], CROP)
    smooth = np.full((48, 64, 3), (200, 30, 60), np.uint8)
    near = cv2.imdecode(np.frombuffer(jpeg(smooth), np.uint8), cv2.IMREAD_COLOR)
    assert near is not None
    assert np.abs(near[..., ::-1].astype(int) - smooth).max() < 8


def test_a_high_frame_among_low_ones_yields_to_the_worst_stretch() -> None:
    calm, outlier = [candidate(0, -2.0) for _ in range(40)], candidate(0, 9.0)
    forged = [candidate(0, 3.0 + number / 10) for number in range(10)]
    kept = keep([*calm[:20], outlier, *calm[20:], *forged])
    assert [one.logit for one in kept] == [3.9, 3.8, 3.7]
