"""How much a face changes from frame to frame: the arithmetic, on faces whose change is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.bursts.features import (
    CHANGES,
    FEATURES,
    FLOOR,
    distance_apart,
    features,
    neighbour_distances,
    trembling,
)
from bench.bursts.recording import Looks, Numbers, on_lines
from core.settings import ScoringSettings

SCORING = ScoringSettings()
LENGTH = 5  # frames of a run


def looks(*, shake: float, score: float = 0.0, runs: int = 4, seed: int = 0) -> Looks:
    """A face that is another in each run, and changes by `shake` from frame to frame."""
    rng = np.random.default_rng(seed)
    count = runs * LENGTH
    faces = np.repeat(rng.normal(size=(runs, 16)), LENGTH, axis=0)
    return Looks(
        run=np.repeat(np.arange(runs), LENGTH),
        position=np.tile(np.arange(LENGTH), runs),
        logits=score + shake * rng.normal(size=count),
        embeddings=faces + shake * rng.normal(size=faces.shape),
        landmarks=100 + 50 * shake * rng.normal(size=(count, 5, 2)),
        face_size=np.full(count, 100.0),
    )


def told(seen: Looks) -> dict[str, float]:
    found = features(seen, SCORING)
    assert found is not None
    return dict(zip(FEATURES, found.tolist(), strict=True))


def test_what_stands_still_changes_by_nothing() -> None:
    still = told(looks(shake=0.0, score=1.5))
    assert still["score of these frames"] == pytest.approx(1.5)
    for change in CHANGES:
        assert still[change] == pytest.approx(np.log(FLOOR), abs=1e-6)


@given(st.integers(0, 50))
def test_more_change_is_a_larger_number_of_each_kind(seed: int) -> None:
    calm, restless = told(looks(shake=0.05, seed=seed)), told(looks(shake=0.5, seed=seed))
    for change in CHANGES:
        assert restless[change] > calm[change]


def test_a_step_from_run_to_run_is_no_change_between_neighbours() -> None:
    seen = looks(shake=0.0)
    jump = Looks(**vars(seen) | {"logits": np.repeat([0.0, 5.0, 0.0, 5.0], LENGTH)})
    assert told(jump)["change of the logit"] == pytest.approx(np.log(FLOOR))


def test_with_one_place_there_is_nothing_further_apart() -> None:
    assert features(looks(shake=0.1, runs=1), SCORING) is None
    assert features(looks(shake=0.1, runs=2), SCORING) is not None


def test_distances_are_of_direction_alone() -> None:
    embeddings = np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0], [0.0, -1.0]])
    np.testing.assert_allclose(neighbour_distances(embeddings), [0, 1, 2], atol=1e-12)
    assert distance_apart([embeddings[:1], embeddings[1:2], embeddings[2:3]]) == pytest.approx(2 / 3)


def straight(frames: int, step: float) -> Numbers:
    start = np.arange(10.0).reshape(1, 5, 2) * 7
    return np.asarray(start + step * np.arange(frames)[:, None, None])


@given(st.integers(3, 8), st.floats(-40, 40))
def test_a_head_that_moves_evenly_does_not_tremble(frames: int, step: float) -> None:
    assert trembling(straight(frames, step), np.full(frames, 80.0)) == pytest.approx(0, abs=1e-6)


def test_trembling_is_measured_in_face_sizes() -> None:
    moved = straight(5, 2.0)
    moved[2, :, 0] += 3.0
    near, far = trembling(moved, np.full(5, 60.0)), trembling(moved / 2, np.full(5, 30.0))
    assert near == pytest.approx(far)
    assert near > 0


def test_a_short_run_of_the_same_noise_trembles_no_less() -> None:
    """A line through three points leaves less of the noise over than one through eight."""
    rng = np.random.default_rng(0)
    by_length = {
        frames: np.sqrt(
            np.mean([trembling(rng.normal(size=(frames, 5, 2)), np.ones(frames)) ** 2 for _ in range(1000)])
        )
        for frames in (3, 8)
    }
    assert by_length[3] == pytest.approx(by_length[8], rel=0.05)
    assert by_length[3] == pytest.approx(np.sqrt(2), rel=0.05)  # in both directions


def test_lines_are_the_least_squares_ones() -> None:
    values = np.array([[0.0, 1.0], [1.0, 1.0], [5.0, 1.0]])
    np.testing.assert_allclose(on_lines(values), [[-0.5, 1], [2, 1], [4.5, 1]], atol=1e-12)
