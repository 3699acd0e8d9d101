import pytest
from hypothesis import given
from hypothesis import strategies as st

from review.pages import timeline
from review.pages.timeline import HEIGHT, Sample


def sample(time: float, score: float | None = 0.5, *, flagged: bool = False) -> Sample:
    return Sample(
        time_seconds=time, score=score, reason=None if score is not None else "blurred", flagged=flagged
    )


def lane(*samples: Sample, blind: bool = False) -> timeline.Lane:
    return timeline.lane(0, samples, duration=10.0, score=0.9, usable=len(samples), blind=blind)


def test_marks_lie_at_their_time_and_score() -> None:
    drawn = lane(sample(5.0, 1.0, flagged=True), sample(2.5, 0.0), sample(10.0, None))
    assert [(mark.x, mark.kind) for mark in drawn.marks] == [
        ("25.000%", "scored"),
        ("50.000%", "flagged"),
        ("100.000%", "rejected"),
    ]
    low, high, _ = drawn.marks
    assert high.y < low.y
    assert "blurred" in drawn.marks[2].label


def test_no_line_claims_scores_that_nobody_measured() -> None:
    # Every second, then a gap of four, then a face that was not scored.
    drawn = lane(sample(0), sample(1), sample(2), sample(6), sample(7, None), sample(8))
    assert [(each.x1, each.x2) for each in drawn.segments] == [("0.000%", "10.000%"), ("10.000%", "20.000%")]


def test_a_blind_reviewer_sees_where_a_face_is_and_no_score() -> None:
    drawn = lane(sample(1, 0.1), sample(2, 0.97, flagged=True), blind=True)
    assert drawn.score is None
    assert drawn.segments == []
    assert {mark.y for mark in drawn.marks} == {HEIGHT / 2}
    assert {mark.kind for mark in drawn.marks} == {"scored"}
    assert "%" not in drawn.summary + "".join(mark.label for mark in drawn.marks)


@given(
    st.lists(st.tuples(st.floats(0, 1e5), st.none() | st.floats(0, 1)), max_size=30),
    st.floats(0, 1e5),
)
def test_nothing_is_drawn_outside_the_lane(samples: list[tuple[float, float | None]], stated: float) -> None:
    duration = timeline.duration_of(stated, [time for time, _ in samples])
    drawn = timeline.lane(3, [sample(*each) for each in samples], duration=duration, score=None, usable=0)
    assert all(0 <= float(mark.x[:-1]) <= 100 and 0 < mark.y < HEIGHT for mark in drawn.marks)


@given(st.floats(0.001, 1e6))
def test_a_few_ticks_at_any_length(duration: float) -> None:
    ticks = timeline.ticks(duration)
    assert 1 <= len(ticks) <= max(timeline.TICKS, duration / timeline.STEPS[-1]) + 1
    assert ticks[0].label == "0:00.0"


@pytest.mark.parametrize(("number", "name"), [(0, "A"), (25, "Z"), (26, "AA"), (51, "AZ"), (52, "BA")])
def test_tracks_have_letters(number: int, name: str) -> None:
    assert timeline.letter(number) == name


def test_the_flagged_parts_are_drawn_and_told() -> None:
    samples = [sample(1.0), sample(9.0)]
    drawn = timeline.lane(0, samples, duration=10.0, score=0.9, usable=2, ranges=[(2.0, 4.5), (8.0, 9.0)])
    assert [(band.x, band.width) for band in drawn.bands] == [("20.000%", "25.000%"), ("80.000%", "10.000%")]
    assert "flagged from 0:02.0 to 0:04.5" in drawn.summary
    blind = timeline.lane(0, samples, duration=10.0, score=0.9, usable=2, ranges=[(2.0, 4.5)], blind=True)
    assert blind.bands == []
    assert "flagged" not in blind.summary


def test_hours_of_samples_are_thinned_and_no_peak_is_lost() -> None:
    samples = [sample(2.0 * i, 0.9 if i == 777 else 0.1, flagged=i in (3, 4)) for i in range(1800)]
    drawn = timeline.lane(0, samples, duration=3600.0, score=0.9, usable=1800)
    assert len(drawn.marks) <= timeline.MOST_MARKS + 2
    assert {mark.time_seconds for mark in drawn.marks if mark.kind == "flagged"} == {6.0, 8.0}
    assert 1554.0 in {mark.time_seconds for mark in drawn.marks}
