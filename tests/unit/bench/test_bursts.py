"""The experiment on neighbouring frames: what its numbers mean, on clips whose answer is known."""

from pathlib import Path

import numpy as np
import pytest

from bench.bursts import BURSTS, LENGTH, Clip, Measured, compare, movements

RNG = np.random.default_rng(0)


def measured(*, score: float, shake: float) -> Measured:
    """A clip of one score whose face moves by `shake` from frame to frame."""
    embeddings = RNG.normal(size=(BURSTS, 1, 16)) + shake * RNG.normal(size=(BURSTS, LENGTH, 16))
    return Measured(
        logits=score + shake * RNG.normal(size=(BURSTS, LENGTH)),
        embeddings=embeddings / np.linalg.norm(embeddings, axis=-1, keepdims=True),
        landmarks=shake * RNG.normal(size=(BURSTS, LENGTH, 5, 2)),
        even=np.full(BURSTS * LENGTH, score),
    )


def clips(*, shake_of_fakes: float) -> list[tuple[Clip, Measured]]:
    """Three methods and 36 genuine people; the scores say nothing."""
    made = [
        (f"{method}-{number}", method, shake_of_fakes) for method in ("a", "b", "c") for number in range(8)
    ]
    made += [(f"person-{number}", "genuine", 0.1) for number in range(36)]
    return [
        (
            Clip(path=Path(f"{name}.mp4"), method=method, group=name),
            measured(score=RNG.normal(), shake=shake * RNG.uniform(0.8, 1.2)),
        )
        for name, method, shake in made
    ]


def test_what_stands_still_moves_by_nothing() -> None:
    still = measured(score=1.5, shake=0.0)
    np.testing.assert_allclose(movements(still), 0, atol=1e-9)


def test_the_same_movement_of_a_larger_number_is_larger() -> None:
    calm, restless = measured(score=0, shake=0.1), measured(score=0, shake=0.5)
    assert (movements(restless) > movements(calm)).all()


def test_movements_that_tell_fakes_apart_add_to_the_score() -> None:
    found = compare(clips(shake_of_fakes=0.3))
    together = found["evenly spread frames and movements"]
    assert together["AUC"] > 0.9 > found["score of evenly spread frames"]["AUC"]
    assert together["from"] > 0


def test_movements_like_those_of_genuine_faces_add_nothing() -> None:
    together = compare(clips(shake_of_fakes=0.1))["evenly spread frames and movements"]
    assert together["from"] <= 0


def test_a_method_is_not_judged_by_a_head_that_saw_it() -> None:
    """Two methods that move in opposite ways: each teaches the wrong thing about the other."""
    known = clips(shake_of_fakes=0.1)
    for place, (clip, _) in enumerate(known):
        if clip.method != "genuine":
            shake = {"a": 0.01, "b": 1.0, "c": 1.0}[clip.method]
            known[place] = clip, measured(score=0.0, shake=shake * RNG.uniform(0.8, 1.2))
    only = [each for each in known if each[0].method in ("a", "b", "genuine")]
    assert compare(only)["movements alone"]["AUC"] == pytest.approx(0, abs=0.1)
