from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.families import Family
from core.roles import Role
from review import words
from review.auth.access import ROLE_PERMISSIONS, Permission
from storage.tables import utc_now


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0, "0%"), (0.001, "<1%"), (0.5, "50%"), (0.994, "99%"), (0.996, ">99%"), (1.0, "100%"), (None, "-")],
)
def test_a_percentage_is_no_more_certain_than_its_number(value: float | None, said: str) -> None:
    assert words.percent(value) == said


@given(st.floats(0, 1, exclude_min=True, exclude_max=True), st.integers(0, 3))
@example(0.005, 0)  # halves are rounded to the even neighbour
@example(0.995, 0)
def test_only_a_certainty_reads_as_one(value: float, digits: int) -> None:
    said = words.percent(value, digits)
    assert said not in {f"{0:.{digits}%}", f"{1:.{digits}%}"}


@pytest.mark.parametrize("family", Family)
def test_every_family_has_plain_words(family: Family) -> None:
    assert words.most_like(family.value, 0.714) == f"{words.FAMILIES[family.value]}, 0.71"


def test_a_guess_never_reads_as_certain_and_no_guess_as_nothing() -> None:
    assert words.most_like("swap", 1.0) == "face swap, 0.99"
    assert words.most_like(None, None) == "-"


@pytest.mark.parametrize(
    ("stability", "tone", "said"),
    [
        (0.9, "good", "stable"),
        (0.5, "fair", "change with the seed"),
        (0.2, "poor", "don't rely on it"),
        (None, "poor", "not measured"),
    ],
)
def test_a_map_that_changes_with_the_seed_says_so(stability: float | None, tone: str, said: str) -> None:
    judged = words.stability(stability)
    assert judged.tone == tone
    assert said in judged.text


@pytest.mark.parametrize(("r2", "tone"), [(0.7, "good"), (0.69, "fair"), (0.39, "poor"), (None, "poor")])
def test_a_fit_is_judged_by_its_r2(r2: float | None, tone: str) -> None:
    assert words.fit(r2).tone == tone


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0:00.0"), (2.72, "0:02.7"), (59.96, "1:00.0"), (3599.96, "1:00:00.0"), (3723.4, "1:02:03.4")],
)
def test_a_clock_rounds_without_a_sixtieth_second(seconds: float, said: str) -> None:
    assert words.clock(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (271_853, "272 kB"), (999_999, "1.0 MB")],
)
def test_sizes_are_decimal(count: int, said: str) -> None:
    assert words.size(count) == said


def test_moments_are_said_in_utc_and_from_now() -> None:
    moment = datetime(2026, 11, 21, 23, 59, tzinfo=UTC)
    assert words.moment(moment) == "2026-11-21 23:59 UTC"
    assert words.since(moment, moment + timedelta(minutes=3)) == "3 min ago"
    assert words.since(moment, moment + timedelta(days=3)) == "3 days ago"
    assert words.since(utc_now()) == "just now"


def test_an_unknown_word_is_still_readable() -> None:
    assert words.named("decoder_killed") == "Decoder killed"
    assert words.named(None) == "-"


def test_why_faces_were_not_scored_is_not_mistaken_for_a_decision() -> None:
    assert words.reasons({"unsure": 5, "tilted": 8}) == "8 tilted, 5 perhaps not a face"
    assert words.named("unsure") == "Unsure"


def test_a_failure_below_its_files_name_does_not_repeat_it() -> None:
    assert (
        words.failure("a.mp4: the file is empty. Copy it again.", "a.mp4")
        == "The file is empty. Copy it again."
    )
    assert words.failure("b.mp4: the file is empty.", "a.mp4") == "B.mp4: the file is empty."
    assert words.failure(None, "a.mp4") == "It could not be screened."


@pytest.mark.parametrize("role", Role)
def test_everything_that_an_account_can_do_has_words(role: Role) -> None:
    assert set(ROLE_PERMISSIONS[role]) <= set(words.ABILITIES)
    assert words.abilities({Permission.DECIDE, Permission.VIEW}) == "look at everything, decide"
