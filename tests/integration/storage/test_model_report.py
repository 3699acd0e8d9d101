"""A model's scores against what reviewers decided, with what they did not look at."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine, insert

from core.errors import NotFound
from core.outcomes import DecisionOutcome, ScreeningStatus, Verdict
from core.roles import Role
from storage.engine import reading, transaction
from storage.people import accounts
from storage.read.model_report import ModelReport, report
from storage.tables import Decision, Screening, Video, utc_now
from tests.screening_results import register_model

FAKE, GENUINE, UNSURE = DecisionOutcome.FAKE, DecisionOutcome.GENUINE, DecisionOutcome.UNSURE
# score, videos, days ago, and how many of them were decided as what
Crowd = tuple[float, int, float, dict[DecisionOutcome, int]]
CROWDS: list[Crowd] = [
    (0.05, 800, 20, {}),  # nobody looks at them
    (0.55, 100, 20, {GENUINE: 40}),
    (0.85, 60, 20, {GENUINE: 10, FAKE: 30, UNSURE: 2}),
    (1.0, 40, 1, {FAKE: 20, GENUINE: 0}),
]


@pytest.fixture
def crowds(engine: Engine) -> Engine:
    now = utc_now()
    with transaction(engine) as session:
        register_model(session)
        anna = accounts.add(
            session, name="anna", role=Role.SERVICE, password_hash=None, actor="t", must_change=False
        )
        videos, screenings, decisions = [], [], []
        for score, number, days, outcomes in CROWDS:
            answers = [each for each, count in outcomes.items() for _ in range(count)]
            for place in range(number):
                id_ = len(videos) + 1
                key = f"{id_:064}"
                videos.append(
                    {"id": id_, "sha256": key, "size_bytes": 1, "media_kind": "video", "object_key": key}
                )
                screenings.append(
                    {
                        "video_id": id_,
                        "model_version_id": "m-1",
                        "status": ScreeningStatus.DONE,
                        "verdict": Verdict.CLEAR,
                        "score": score,
                        "rejected_faces": {},
                        "finished_at": now - timedelta(days=days),
                    }
                )
                said = [DecisionOutcome.SECOND_OPINION, answers[place]] if place < len(answers) else []
                decisions += [{"video_id": id_, "account_id": anna.id, "outcome": each} for each in said]
        session.execute(insert(Video), videos)
        session.execute(insert(Screening), screenings)
        session.execute(insert(Decision), decisions)
    return engine


def made(engine: Engine, *, days: float = 90, rates: tuple[float, ...] = (0.01, 0.1)) -> ModelReport:
    with reading(engine) as session:
        return report(session, "m-1", since=utc_now() - timedelta(days=days), rates=rates)


def test_precision_thresholds_and_drift_follow_from_what_was_decided(crowds: Engine) -> None:
    found = made(crowds)
    assert (found.scored, found.reviewed, found.unreviewed) == (1000, 102, 898)
    told = {
        each.low: (each.scored, each.fake, each.genuine, each.unsure) for each in found.strata if each.scored
    }
    assert told == {
        0.0: (800, 0, 0, 0),
        0.5: (100, 0, 40, 0),
        0.8: (60, 30, 10, 2),
        0.9: (40, 20, 0, 0),
    }
    lowest, high = found.strata[0], found.strata[8]
    assert (lowest.precision, lowest.mean_score) == (None, pytest.approx(0.05))
    assert (high.precision, high.unreviewed) == (0.75, 18)
    assert high.precision_low is not None
    assert high.precision_high is not None
    assert high.precision_low < 0.75 < high.precision_high
    assert found.strata_without_review == 1

    # Genuine by strata: 800 at 0.05, 100 at 0.55, 10 + 20 / 4 at 0.85, none at 1.
    strict, lenient = found.suggestions
    assert (strict.threshold, strict.estimated_rate) == (0.86, 0.0)
    assert (strict.reviewed_rate, strict.fakes_found) == (0.0, pytest.approx(20 / 50))
    assert lenient.threshold == 0.56
    assert lenient.estimated_rate == pytest.approx(15 / 915)
    assert (lenient.reviewed_rate, lenient.fakes_found) == (pytest.approx(10 / 50), 1.0)
    assert (found.drift, sum(found.recent), sum(found.before)) == (None, 40, 960), "too few of this week"


def test_little_is_said_of_few_decisions_and_nothing_of_an_unknown_model(crowds: Engine) -> None:
    found = made(crowds, days=2)
    assert (found.scored, [each.threshold for each in found.suggestions]) == (40, [None, None])
    with reading(crowds) as session, pytest.raises(NotFound):
        report(session, "m-9", since=utc_now())
