"""When an alert is due, which range it tells, and when it is over."""

from core.settings import ScoringSettings, StreamSettings
from worker.screening.aggregation import Stretch
from worker.streams.incidents import Incident, Incidents, Moment

STREAMS = StreamSettings(alert_seconds=4, calm_seconds=10)


def incidents() -> Incidents:
    return Incidents(7, STREAMS, ScoringSettings(flagged_frames=2))


def moment(time: float, logit: float) -> Moment:
    return Moment(
        time_seconds=time,
        logit=logit,
        score=0.9,
        image=b"jpeg",
        crop=b"png",
        box=(0, 0, 1, 1),
        frame_size=(2, 2),
    )


def part(start: float, end: float) -> Stretch:
    return Stretch(start_seconds=start, end_seconds=end)


def fed(face: Incidents, first: int, last: int, *, fake_from: int, fake_to: int) -> list[Incident]:
    """A look each second; the score stays high while the fake part is within the last 30 seconds."""
    told = []
    for now in range(first, last + 1):
        end = min(now, fake_to)
        fake = fake_from <= now <= fake_to + 30
        stretches = [part(max(fake_from, now - 30), end)] if fake and end >= now - 30 else []
        incident = face.update(now, fake=fake, score=0.95 if fake else 0.1, stretches=stretches)
        if incident is not None:
            told.append(incident)
    return told


def test_one_alert_once_it_has_lasted_and_one_word_when_it_is_over() -> None:
    face = incidents()
    (raised,) = fed(face, 0, 30, fake_from=20, fake_to=40)
    assert (raised.track, raised.start_seconds, raised.raised_seconds, raised.over) == (7, 20, 24, False)
    (over,) = fed(face, 31, 100, fake_from=20, fake_to=40)
    assert over is raised
    assert (over.start_seconds, over.end_seconds, over.peak_score, over.over) == (20, 40, 0.95, True)


def test_what_does_not_last_is_not_told() -> None:
    assert fed(incidents(), 0, 60, fake_from=20, fake_to=23) == []


def test_a_new_incident_after_a_calm_is_another_alert() -> None:
    face = incidents()
    first = fed(face, 0, 90, fake_from=20, fake_to=30)
    second = fed(face, 91, 200, fake_from=100, fake_to=110)
    assert [(each.start_seconds, each.end_seconds) for each in (*first[1:], *second[1:])] == [
        (20, 30),
        (100, 110),
    ]
    assert first[0] is first[1]
    assert second[0] is not first[0]


def test_the_most_suspicious_frames_of_the_incident_are_its_evidence() -> None:
    face = incidents()
    face.keep(moment(5, 9.0))  # long before, and yet the highest
    for time, logit in ((20, 1.0), (21, 4.0), (22, 3.0), (23, 2.0)):
        face.keep(moment(time, logit))
    (raised,) = fed(face, 20, 24, fake_from=20, fake_to=24)
    assert [one.time_seconds for one in raised.moments] == [21, 22]


def test_the_end_of_the_stream_ends_an_incident_that_was_told_and_no_other() -> None:
    told, untold = incidents(), incidents()
    fed(told, 0, 30, fake_from=20, fake_to=40)
    fed(untold, 0, 22, fake_from=20, fake_to=40)
    over = told.finish()
    assert over is not None
    assert over.over
    assert untold.finish() is None
    assert told.finish() is None
