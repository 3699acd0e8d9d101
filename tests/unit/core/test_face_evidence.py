"""What a map comes to in words, and when it is better not put into words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.face_evidence import NAMES, of_frame, of_track

PARTS = ("background", "left eye", "right eye", "mouth", "left jaw", "chin", "nose")
WEIGHTS = (0.1, 0.05, -0.6, 0.5, 0.3, 0.1, 0.05)


def test_the_strongest_parts_are_named_with_their_share() -> None:
    evidence = of_frame(PARTS, WEIGHTS, 0.8, 0.9)
    assert evidence.in_words
    assert evidence.sentence == "Mouth and jaw line speak for fake (0.82 of the evidence)."
    assert list(evidence.shares)[:2] == ["mouth", "jaw line"]
    assert evidence.shares["mouth"] == pytest.approx(0.5 / 1.1)
    assert evidence.shares["jaw line"] == pytest.approx(0.4 / 1.1)
    assert evidence.shares["eyes"] == pytest.approx(0.05 / 1.1)


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ((0.1, 0.0, -0.6, 0.45, 0.3, 0.1, 0.05), "Mouth and jaw line speak for fake (0.85 of the evidence)."),
        ((0.1, 0.0, 0.0, 0.8, 0.1, 0.0, 0.0), "Mouth speaks for fake (0.80 of the evidence)."),
        ((0.0, 0.6, 0.2, 0.1, 0.0, 0.0, 0.1), "Eyes speak for fake (0.80 of the evidence)."),
        (
            (0.2, 0.2, 0.0, 0.2, 0.2, 0.0, 0.2),
            "Background, eyes and jaw line speak for fake (0.60 of the evidence).",
        ),
        ((-0.2, 0.0, 0.0, -0.2, 0.0, 0.0, 0.0), "No part of the face speaks for fake by itself."),
    ],
)
def test_as_many_parts_are_named_as_make_half_of_it(weights: tuple[float, ...], sentence: str) -> None:
    assert of_frame(PARTS, weights, 0.8, 0.9).sentence == sentence


@pytest.mark.parametrize(
    ("parts", "r2", "stability", "why"),
    [
        ((), 0.9, 0.9, "no parts of the face"),
        (PARTS, 0.9, 0.42, "only 42% agree"),
        (PARTS, 0.9, None, "no part of the face moves the score"),
        (PARTS, 0.2, 0.9, "do not add up to the score (R² 0.20)"),
        (PARTS, None, 0.9, "do not add up to the score"),
    ],
)
def test_a_map_that_does_not_hold_is_not_put_into_words(
    parts: tuple[str, ...], r2: float | None, stability: float | None, why: str
) -> None:
    evidence = of_frame(parts, WEIGHTS, r2, stability)
    assert not evidence.in_words
    assert evidence.sentence.startswith("Not put into words: ")
    assert why in evidence.sentence
    assert (dict(evidence.shares), evidence.frames, evidence.left_out) == ({}, 0, 1)


def test_a_track_sums_the_frames_that_hold() -> None:
    one = (("mouth", "nose"), (0.9, 0.1), 0.8, 0.9)
    other = (("nose", "mouth"), (0.5, 0.5), 0.8, 0.9)
    doubtful = (("nose", "mouth"), (9.0, 0.0), 0.8, 0.1)
    evidence = of_track([one, other, doubtful])
    assert evidence is not None
    assert evidence.shares == pytest.approx({"mouth": 0.7, "nose": 0.3})
    assert (evidence.frames, evidence.left_out) == (2, 1)
    assert evidence.sentence == "Mouth speaks for fake (0.70 of the evidence)."
    assert of_track([]) is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=9))
def test_shares_add_up_to_one_or_there_are_none(weights: list[float]) -> None:
    parts = [*NAMES, "nose"][: len(weights)]
    shares = of_frame(parts, weights[: len(parts)], 0.9, 0.9).shares
    assert sum(shares.values()) == pytest.approx(1 if shares else 0)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
