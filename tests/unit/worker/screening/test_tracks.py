"""Face tracks: one person over time."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.settings import TrackSettings
from models.face import Box, Image
from worker.screening.tracks import Descriptor, Tracker, describe


def person(seed: int) -> Image:
    """A crop that looks like no other seed's."""
    rng = np.random.default_rng(seed)
    return np.kron(rng.integers(0, 256, (6, 6, 3)), np.ones((16, 16, 1))).astype(np.uint8)


def box(x: float, y: float, side: float = 100.0) -> Box:
    return Box(x0=x, y0=y, x1=x + side, y1=y + side)


LOOKS: list[Descriptor] = [describe(person(seed)) for seed in range(6)]


def test_a_moving_face_is_one_track() -> None:
    tracker = Tracker(TrackSettings())
    numbers = [tracker.add(t / 2, [(box(40 * t, 10), LOOKS[0])])[0] for t in range(8)]
    assert set(numbers) == {0}


def test_two_people_who_swap_places_across_a_cut_keep_their_tracks() -> None:
    tracker = Tracker(TrackSettings())
    before = tracker.add(0.0, [(box(0, 0), LOOKS[0]), (box(500, 0), LOOKS[1])])
    after = tracker.add(0.5, [(box(0, 0), LOOKS[1]), (box(500, 0), LOOKS[0])])
    assert after == before[::-1]


def test_another_person_in_the_same_place_is_another_track() -> None:
    tracker = Tracker(TrackSettings())
    assert tracker.add(0.0, [(box(0, 0), LOOKS[0])]) != tracker.add(0.5, [(box(0, 0), LOOKS[1])])


def test_a_face_unseen_for_long_begins_anew() -> None:
    tracker = Tracker(TrackSettings(max_gap_seconds=2.0))
    tracker.add(0.0, [(box(0, 0), LOOKS[0])])
    for moment in (1.0, 2.0, 3.0, 4.0):
        assert tracker.add(moment, []) == []
    assert tracker.add(5.0, [(box(0, 0), LOOKS[0])]) == [1]


def test_a_face_goes_on_however_far_apart_the_samples_are() -> None:
    """With 64 samples of six hours, 340 s lie between them: the next sample is no gap."""
    tracker = Tracker(TrackSettings())
    numbers = [tracker.add(340.0 * sample, [(box(0, 0), LOOKS[0])])[0] for sample in range(64)]
    assert set(numbers) == {0}


FACES = st.lists(
    st.tuples(st.floats(0, 1000), st.floats(0, 1000), st.floats(10, 300), st.integers(0, 5)), max_size=8
)


@settings(max_examples=40, deadline=None)
@given(st.lists(FACES, max_size=6))
def test_each_face_is_in_one_track_and_no_two_of_a_frame_share_one(
    frames: list[list[tuple[float, float, float, int]]],
) -> None:
    tracker = Tracker(TrackSettings())
    assigned = [
        tracker.add(moment / 2, [(box(x, y, side), LOOKS[look]) for x, y, side, look in faces])
        for moment, faces in enumerate(frames)
    ]
    for numbers, faces in zip(assigned, frames, strict=True):
        assert len(numbers) == len(set(numbers)) == len(faces)
    assert {number for numbers in assigned for number in numbers} == {one.number for one in tracker.tracks}
