"""Agreement of two raters, and which videos two reviewers see."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from core.outcomes import DecisionOutcome, DecisionState
from storage.people.decisions import ANSWERS, _state, drawn, kappa

FAKE, GENUINE, UNSURE = (answer.value for answer in ANSWERS)
SECOND = DecisionOutcome.SECOND_OPINION.value
answers = st.sampled_from((FAKE, GENUINE, UNSURE))


def test_kappa_of_the_papers_kind_of_table() -> None:
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: observed 0.7, by chance 0.5.
    table = {(FAKE, FAKE): 20, (FAKE, GENUINE): 5, (GENUINE, FAKE): 10, (GENUINE, GENUINE): 15}
    assert kappa([pair for pair, times in table.items() for _ in range(times)]) == pytest.approx(0.4)


@given(st.lists(st.tuples(answers, answers), min_size=1, max_size=60))
def test_kappa_is_that_of_scikit_learn(given_answers: list[tuple[str, str]]) -> None:
    first, second = zip(*given_answers, strict=True)
    ours = kappa(given_answers)
    if len({*first, *second}) == 1:
        assert ours is None  # chance alone agrees on everything; scikit-learn warns and says nan
        return
    theirs = cohen_kappa_score(first, second)
    assert ours is not None
    assert math.isclose(ours, theirs, abs_tol=1e-9)


def test_kappa_of_nothing_is_none() -> None:
    assert kappa([]) is None


@pytest.mark.parametrize(
    ("given_answers", "twice", "state"),
    [
        ([], False, DecisionState.OPEN),
        ([FAKE], False, DecisionState.DECIDED),
        ([UNSURE], False, DecisionState.DECIDED),
        ([SECOND], False, DecisionState.SECOND_OPINION),
        ([SECOND, FAKE], False, DecisionState.DECIDED),
        ([FAKE, SECOND], False, DecisionState.SECOND_OPINION),
        ([FAKE, GENUINE], False, DecisionState.SECOND_OPINION),
        ([FAKE, GENUINE, FAKE], False, DecisionState.DECIDED),
        ([FAKE, UNSURE], False, DecisionState.DECIDED),
        ([FAKE], True, DecisionState.SECOND_OPINION),
        ([FAKE, FAKE], True, DecisionState.DECIDED),
        ([SECOND, FAKE], True, DecisionState.SECOND_OPINION),
    ],
)
def test_the_state_follows_from_the_answers(given_answers: list[str], twice: bool, state: str) -> None:
    assert _state(dict(enumerate(given_answers)), twice=twice) == state


@given(st.floats(0, 1))
def test_about_the_part_asked_for_is_drawn_and_always_the_same(part: float) -> None:
    hashes = [f"{number * 2654435761 % 2**32:08x}" + "0" * 56 for number in range(500)]
    first = [drawn(each, part) for each in hashes]
    assert first == [drawn(each, part) for each in hashes]
    assert sum(first) == pytest.approx(500 * part, abs=30)
    assert not any(drawn(each, 0.0) for each in hashes)
    assert all(drawn(each, 1.0) for each in hashes)
