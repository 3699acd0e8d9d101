"""Which frames are recorded, and faces held steady."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bench.bursts.recording import plan_runs, steady
from models.face import Box, Face

CLIPS = st.integers(1, 400).flatmap(
    lambda total: st.tuples(st.lists(st.integers(0, total - 1), unique=True).map(sorted), st.just(total))
)


@given(CLIPS, st.integers(1, 6), st.integers(3, 5))
def test_bursts_are_neighbours_that_never_overlap_and_stay_within_the_clip(
    clip: tuple[list[int], int], places: int, frames: int
) -> None:
    usable, total = clip
    runs = plan_runs(usable, total, places=places, frames=frames)
    bursts = [run.frames for run in runs if run.neighbours]
    taken = [frame for burst in bursts for frame in burst]
    assert len(bursts) <= min(places, len(usable))
    assert all(burst == tuple(range(burst[0], burst[0] + frames)) for burst in bursts)
    assert taken == sorted(set(taken))
    assert all(0 <= frame < total for run in runs for frame in run.frames)


@given(CLIPS, st.integers(1, 6), st.integers(3, 5))
def test_no_more_spread_frames_than_frames_of_bursts(
    clip: tuple[list[int], int], places: int, frames: int
) -> None:
    usable, total = clip
    runs = plan_runs(usable, total, places=places, frames=frames)
    counts = [sum(len(run.frames) for run in runs if run.neighbours == kind) for kind in (True, False)]
    assert counts[0] >= counts[1]
    spread = [frame for run in runs if not run.neighbours for frame in run.frames]
    assert all(usable[0] <= frame <= usable[-1] for frame in spread)


def test_a_long_clip_gets_all_its_bursts_and_as_many_spread_frames() -> None:
    runs = plan_runs(range(0, 400, 10), 400, places=4, frames=5)
    assert [run.frames[0] for run in runs if run.neighbours] == [43, 143, 243, 343]
    spread = [frame for run in runs if not run.neighbours for frame in run.frames]
    assert len(spread) == 20
    assert set(np.diff(spread)) == {20}


def face(x: float, y: float) -> Face:
    marks = np.array([(3, 4), (7, 4), (5, 6), (3.5, 8), (6.5, 8)]) * 10 + (x, y)
    box = Box(x0=x, y0=y, x1=x + 100, y1=y + 120)
    return Face(box=box, landmarks=marks.astype(np.float32), probability=0.99)


def test_a_trembling_box_is_held_on_the_line_of_its_movement() -> None:
    tremble = np.array([1.0, -2.0, 0.0, 2.0, -1.0])  # neither a shift nor a movement: its line is zero
    tremble -= np.polyval(np.polyfit(range(5), tremble, 1), range(5))
    held = steady([face(10 + 3 * number + off, 20) for number, off in enumerate(tremble)])
    np.testing.assert_allclose([each.box.x0 for each in held], [10, 13, 16, 19, 22], atol=1e-6)
    np.testing.assert_allclose([each.box.width for each in held], 100)
    np.testing.assert_allclose([each.landmarks[0, 0] for each in held], [40, 43, 46, 49, 52], atol=1e-4)
