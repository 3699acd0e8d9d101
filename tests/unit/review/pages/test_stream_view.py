"""What the curve of a live stream shows."""

from datetime import UTC, datetime

from review.pages.stream_view import curve
from storage.streams.requests import AlertView


def alert(start: float, end: float) -> AlertView:
    return AlertView(
        id=1,
        stream_id=1,
        track_number=0,
        start_seconds=start,
        end_seconds=end,
        raised_seconds=start + 4,
        raised_at=datetime.now(UTC),
        over=True,
        peak_score=0.9,
        model_version="m1",
        has_clip=False,
    )


def point(seconds: float, score: float | None, *, unseen: bool = False) -> dict[str, object]:
    return {"seconds": seconds, "score": score, "unseen": unseen}


def test_a_young_stream_fills_the_curve_from_the_left() -> None:
    now = {"points": [point(0, 0.0), point(150, 1.0), point(300, None), point(302, 0.5, unseen=True)]}
    drawn = curve(now, [alert(60, 90)], 150.0)
    assert drawn.steps == [("0.00%", "96.00%", "50.00%", "4.00%")]
    assert [(part.x, part.width) for part in drawn.alerts] == [("20.00%", "10.00%")]
    assert [text for _, _, text in drawn.ticks] == ["0:00.0", "1:15.0", "2:30.0", "3:45.0", "5:00.0"]
    assert len(drawn.unseen) == 1


def test_an_old_stream_shows_its_last_minutes() -> None:
    now = {"points": [point(4000, 0.5), point(4300, 0.5)]}
    drawn = curve(now, [alert(10, 20), alert(3990, 4010)], 4300.0)
    assert [(part.x, part.width) for part in drawn.alerts] == [("0.00%", "3.33%")]
    assert drawn.ticks[0][2].startswith("1:06:40")


def test_a_stream_that_nobody_has_watched_yet_has_an_empty_curve() -> None:
    drawn = curve(None, [], 0.0)
    assert (drawn.steps, drawn.alerts, drawn.unseen) == ([], [], [])
