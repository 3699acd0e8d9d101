"""Decisions and claims on both databases, by many reviewers at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Engine, select, update

from core.errors import HeldByAnother, NotFound
from core.outcomes import DecisionOutcome, DecisionState, MediaKind, Verdict
from storage import audit, screenings, videos
from storage.engine import reading, transaction
from storage.people import claims, decisions
from storage.queue.filters import Filters
from storage.read import dashboard
from storage.results import complete
from storage.tables import Account, ReviewClaim, Screening, utc_now
from storage.videos import Seen
from tests.screening_results import register_model, screening_result

REVIEWERS = ("ada", "ben", "cleo", "dan")
VIDEOS = 6


def screened(engine: Engine, version: str, video: int, verdict: Verdict, score: float | None) -> None:
    with transaction(engine) as session:
        ticket = screenings.request(session, video_id=video, model_version_id=version)
        assert ticket is not None
        claimed = screenings.LEASES.claim(session, ticket, owner="w", lease_seconds=60)
        assert claimed is not None
        complete(session, claimed, screening_result(verdict, score, flagged_faces=[]))


@pytest.fixture
def queue(engine: Engine) -> Engine:
    """Six flagged videos, four reviewers, two model versions."""
    with transaction(engine) as session:
        for version in ("m-1", "m-2"):
            register_model(session, version)
        session.add_all(Account(name=name, role="reviewer") for name in REVIEWERS)
        for number in range(1, VIDEOS + 1):
            sha256 = f"{number:064x}"
            videos.add(session, sha256=sha256, size_bytes=1, media_kind=MediaKind.VIDEO, object_key="k")
            seen = Seen(source="s", name=f"{number}.mp4", size_bytes=1, mtime_ns=number)
            videos.sight(session, seen, video_id=number)
    for number in range(1, VIDEOS + 1):
        screened(engine, "m-1", number, Verdict.FAKE, 0.9 - number / 100)
    return engine


def states(engine: Engine, video: int) -> set[str]:
    with reading(engine) as session:
        return set(session.scalars(select(Screening.decision_state).where(Screening.video_id == video)))


def decide(engine: Engine, video: int, account: int, outcome: str, double_review: float = 0.0) -> str:
    with transaction(engine) as session:
        return decisions.decide(
            session,
            video_id=video,
            account_id=account,
            outcome=DecisionOutcome(outcome),
            double_review=double_review,
        )


def test_of_many_who_ask_at_once_no_two_get_the_same_video(queue: Engine) -> None:
    def ask(account: int) -> int | None:
        with transaction(queue) as session:
            return claims.claim_next(session, account_id=account, filters=Filters(), minutes=5)

    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(ask, range(1, 5)))
    assert None not in taken
    assert len(set(taken)) == 4
    with reading(queue) as session:
        assert audit.verify(session).sound


def test_a_claim_that_ran_out_is_anybodys(queue: Engine) -> None:
    with transaction(queue) as session:
        claims.claim(session, video_id=1, account_id=1, minutes=5)
    with transaction(queue) as session, pytest.raises(HeldByAnother):
        claims.claim(session, video_id=1, account_id=2, minutes=5)
    with transaction(queue) as session:
        session.execute(update(ReviewClaim).values(expires_at=utc_now() - timedelta(seconds=1)))
    with transaction(queue) as session:
        assert claims.claim(session, video_id=1, account_id=2, minutes=5) > utc_now()
        assert not claims.release(session, video_id=1, account_id=1)
        assert claims.release(session, video_id=1, account_id=2)
        with pytest.raises(NotFound):
            claims.claim(session, video_id=99, account_id=1, minutes=5)


def test_the_queue_runs_out_for_a_reviewer_not_for_the_others(
    queue: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "TRIED", 2)  # so that more than one look is needed
    given = []
    for number in range(VIDEOS + 1):
        with transaction(queue) as session:
            video = claims.claim_next(session, account_id=1, filters=Filters(), minutes=5)
            given.append(video)
            if video is None:
                break
            if number % 2:
                claims.skip(session, video_id=video, account_id=1)
            else:
                decisions.decide(session, video_id=video, account_id=1, outcome=DecisionOutcome.FAKE)
    assert given == [1, 2, 3, 4, 5, 6, None]
    with transaction(queue) as session:
        assert claims.claim_next(session, account_id=2, filters=Filters(), minutes=5) == 1


def test_decisions_that_contradict_each_other_wait_for_a_third(queue: Engine) -> None:
    assert decide(queue, 1, 1, "fake") == DecisionState.DECIDED
    assert decide(queue, 1, 2, "genuine") == DecisionState.SECOND_OPINION
    assert states(queue, 1) == {"second_opinion"}
    assert decide(queue, 1, 3, "genuine") == DecisionState.DECIDED
    assert decide(queue, 1, 1, "genuine") == DecisionState.DECIDED  # the last one of each counts
    with reading(queue) as session:
        history = decisions.history(session, 1)
    assert [(each.account, each.outcome) for each in history] == [
        ("ada", "fake"),
        ("ben", "genuine"),
        ("cleo", "genuine"),
        ("ada", "genuine"),
    ]


def test_of_two_who_decide_at_once_both_are_seen(queue: Engine) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda pair: decide(queue, 1, *pair), [(1, "fake"), (2, "genuine")]))
    assert states(queue, 1) == {"second_opinion"}


def test_double_review_asks_for_two_answers(queue: Engine) -> None:
    assert decide(queue, 1, 1, "fake", 1.0) == DecisionState.SECOND_OPINION
    assert decide(queue, 1, 1, "fake", 1.0) == DecisionState.SECOND_OPINION  # not twice by the same one
    assert decide(queue, 1, 2, "fake", 1.0) == DecisionState.DECIDED


def test_agreement_is_between_the_first_two_and_by_pairs(queue: Engine) -> None:
    for video, answers in enumerate(
        (("fake", "fake"), ("genuine", "genuine"), ("fake", "genuine"), ("unsure", "unsure", "fake")), 1
    ):
        for account, answer in enumerate(answers, 1):
            decide(queue, video, account, answer)
    decide(queue, 5, 1, "fake")  # by one alone
    decide(queue, 6, 1, "second_opinion")
    decide(queue, 6, 2, "fake")
    with reading(queue) as session:
        found = decisions.agreement(session)
    assert (found.videos, found.observed) == (4, 0.75)
    assert found.kappa == pytest.approx((0.75 - 5 / 16) / (1 - 5 / 16))
    assert found.matrix["fake"] == {"fake": 1, "genuine": 1, "unsure": 0}
    assert [(pair.first, pair.second, pair.videos) for pair in found.pairs] == [
        ("ada", "ben", 4),
        ("ada", "cleo", 1),
        ("ben", "cleo", 1),
    ]


def test_a_video_screened_by_another_model_keeps_its_place_until_that_is_done(queue: Engine) -> None:
    decide(queue, 1, 1, "fake")
    with transaction(queue) as session:
        screenings.request(session, video_id=1, model_version_id="m-2")

    def of(video: int) -> dict[str, tuple[bool, str, str]]:
        with reading(queue) as session:
            rows = session.scalars(select(Screening).where(Screening.video_id == video))
            return {row.model_version_id: (row.latest, row.decision_state, row.source) for row in rows}

    assert of(1) == {"m-1": (True, "decided", "s"), "m-2": (False, "decided", "s")}
    screened(queue, "m-2", 2, Verdict.CLEAR, 0.1)
    assert of(2) == {"m-1": (False, "open", "s"), "m-2": (True, "open", "s")}
    assert of(3) == {"m-1": (True, "open", "s")}


def test_the_dashboard_says_how_the_whole_is_doing(queue: Engine) -> None:
    for video, outcome in ((1, "fake"), (2, "genuine"), (3, "unsure"), (4, "second_opinion")):
        decide(queue, video, 1, outcome)
    with reading(queue) as session:
        found = dashboard.dashboard(session, days=3)
    assert [day.screened for day in found.days] == [0, 0, VIDEOS]
    assert found.days[-1].mean_score == pytest.approx(0.865)
    assert sum(found.days[-1].scores) == VIDEOS
    assert (found.precision.flagged, found.precision.confirmed, found.precision.unsure) == (2, 1, 1)
    assert str(found.queue.counts.to_review) == "2"
    assert str(found.queue.counts.second_opinion) == "1"
    assert found.queue.oldest_open is not None
    assert found.drift[0].model_version == "m-1"
    assert found.drift[0].index is None  # too few scores to say
