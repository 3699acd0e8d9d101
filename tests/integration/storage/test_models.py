"""Which model version screens new videos, and what two of them say of the same ones."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from core.errors import Conflict, NotFound, StaleAttempt
from core.flips import Flip
from core.outcomes import DecisionOutcome, Verdict
from core.priorities import Priority
from core.results import ShadowResult
from core.roles import Role
from storage import erasure, model_versions, screenings, shadows
from storage.engine import reading, transaction
from storage.leases import Ticket
from storage.objects.folder import FolderStore
from storage.people import accounts, decisions
from storage.read.models import compare, seen
from storage.results import complete
from storage.tables import EarlierAnswer, Screening, ShadowAnswer, Video
from tests.integration.worker.test_reaggregation import kept
from tests.screening_results import register_model, screening_result


@pytest.fixture
def two(engine: Engine) -> Engine:
    with transaction(engine) as session:
        register_model(session)
        register_model(session, "m-2")
    return engine


def in_the_shadow(engine: Engine, screening_id: int, verdict: Verdict, score: float | None) -> None:
    answer = ShadowResult(
        model_version="m-2",
        policy="p",
        verdict=verdict,
        score=score,
        raw_score=score,
        looks=1.0,
        logits=[1.0, 2.0],
        seconds=0.5,
    )
    with transaction(engine) as session:
        shadows.keep(session, screening_id, answer)


def active(engine: Engine) -> str | None:
    with reading(engine) as session:
        return model_versions.active(session)


def test_promotions_are_undone_one_by_one(two: Engine) -> None:
    assert active(two) is None
    for version in ("m-1", "m-2", "m-2"):
        with transaction(two) as session:
            model_versions.promote(session, version, actor="anna")
    assert active(two) == "m-2"
    found: list[Any] = []
    for _ in range(2):
        with transaction(two) as session:
            found.append(model_versions.roll_back(session, actor="anna").now)
    assert found == ["m-1", None], "promoting what is active counts once"
    assert active(two) is None
    with pytest.raises(Conflict), transaction(two) as session:
        model_versions.roll_back(session, actor="anna")
    with pytest.raises(NotFound), transaction(two) as session:
        model_versions.promote(session, "m-9", actor="anna")


def test_a_rollback_takes_along_what_waits(two: Engine) -> None:
    """Of five videos: waits, runs, waits beside an answer, was answered and asked again, is answered."""
    with transaction(two) as session:
        for number in (1, 2):
            sha256 = f"{number:064}"
            session.add(Video(sha256=sha256, size_bytes=1, media_kind="video", object_key="k"))
            session.flush()
    kept(two, screening_result(Verdict.CLEAR, 0.1), 3)
    kept(two, ("m-2", screening_result(score=0.9)), 4)
    kept(two, ("m-2", screening_result(score=0.9)), 5)
    with transaction(two) as session:
        model_versions.promote(session, "m-2", actor="anna")
        wanted: dict[str, Any] = {"model_version_id": "m-2", "priority": Priority.BACKFILL}
        for number in (1, 2, 3, 4):
            screenings.request(session, video_id=number, again=number == 4, **wanted)
    with transaction(two) as session:
        held = session.scalars(select(Screening).where(Screening.video_id == 2)).one()
        ticket = Ticket(row_id=held.id, attempt=1)
        claimed = screenings.LEASES.claim(session, ticket, owner="w", lease_seconds=60)
    assert claimed is not None
    with transaction(two) as session:
        done = model_versions.roll_back(session, actor="anna", otherwise="m-1")
    assert (done.undone, done.now, done.moved, done.cancelled) == ("m-2", None, 2, 2)
    with pytest.raises(StaleAttempt), transaction(two) as session:
        complete(session, claimed, screening_result())
    with reading(two) as session:
        rows = session.scalars(
            select(Screening).order_by(Screening.video_id, Screening.model_version_id)
        ).all()
        earlier = session.scalars(select(EarlierAnswer.screening_id)).all()
    assert [
        (row.video_id, row.model_version_id, row.status, row.attempt, row.latest, row.error_code)
        for row in rows
    ] == [
        (1, "m-1", "queued", 2, True, None),
        (2, "m-1", "queued", 2, True, None),
        (3, "m-1", "done", 1, True, None),
        (3, "m-2", "failed", 1, False, "cancelled"),
        (4, "m-1", "queued", 1, True, None),
        (4, "m-2", "failed", 2, False, "cancelled"),
        (5, "m-2", "done", 1, True, None),
    ]
    assert {row.priority for row in rows if row.status == "queued"} == {Priority.BACKFILL}
    assert earlier == [row.id for row in rows if (row.video_id, row.model_version_id) == (4, "m-2")]


def test_two_versions_are_compared_on_what_both_have_judged(two: Engine) -> None:
    fake = kept(two, screening_result(score=0.9))
    clear = kept(two, screening_result(Verdict.CLEAR, 0.1), 2)
    kept(two, screening_result(score=0.8), 3)
    in_the_shadow(two, fake, Verdict.SUSPECT, 0.5)  # replaced by the next
    in_the_shadow(two, fake, Verdict.CLEAR, 0.2)
    in_the_shadow(two, clear, Verdict.CLEAR, 0.2)
    kept(two, ("m-2", screening_result(score=0.9)), 2)  # a screening of its own counts before its shadow
    kept(two, ("m-2", screening_result(score=0.9)), 4)
    with transaction(two) as session:
        anna = accounts.add(
            session, name="anna", role=Role.SERVICE, password_hash=None, actor="t", must_change=False
        )
        decisions.decide(session, video_id=1, account_id=anna.id, outcome=DecisionOutcome.GENUINE)
        decisions.decide(session, video_id=2, account_id=anna.id, outcome=DecisionOutcome.FAKE)
    with reading(two) as session:
        found = compare(session, "m-1", "m-2")
        back = compare(session, "m-2", "m-1")
        listed = {each.id: each for each in seen(session)}
    assert found.videos == {
        Flip(before="fake", after="clear", source="", decision="genuine"): 1,
        Flip(before="clear", after="fake", source="", decision="fake"): 1,
    }
    assert (found.agreement, found.only_first, found.only_second, found.scored) == (0.0, 1, 1, 2)
    assert (found.mean_difference, found.mean_distance) == pytest.approx((0.05, 0.75))
    assert found.flagged(DecisionOutcome.GENUINE) == (1, 1, 0)
    assert found.flagged(DecisionOutcome.FAKE) == (1, 0, 1)
    assert (back.compared, back.mean_difference) == (2, pytest.approx(-0.05))
    assert (listed["m-1"].screenings, listed["m-1"].represents) == ({"done": 3}, 2)
    assert (listed["m-2"].shadowed, listed["m-2"].represents, listed["m-2"].active) == (2, 2, False)


def test_nothing_in_common_is_nothing_compared(two: Engine) -> None:
    with reading(two) as session:
        found = compare(session, "m-1", "m-2")
    assert (found.compared, found.agreement, found.mean_difference) == (0, None, None)


def test_what_others_said_of_a_video_is_erased_with_it(two: Engine, tmp_path: Path) -> None:
    number, store = kept(two, screening_result(Verdict.CLEAR, 0.1)), FolderStore(tmp_path / "objects")
    in_the_shadow(two, number, Verdict.CLEAR, 0.2)
    with transaction(two) as session:
        session.get_one(Video, 1).object_key = store.put_bytes(b"a video")
        screenings.request(session, video_id=1, model_version_id="m-1", again=True)  # keeps the answer before
    with reading(two) as session:
        left = [
            session.scalar(select(func.count()).select_from(each)) for each in (ShadowAnswer, EarlierAnswer)
        ]
    assert left == [1, 1]
    erasure.erase(two, store, 1, reason="asked", actor="anna")
    in_the_shadow(two, number, Verdict.CLEAR, 0.2)  # by a worker that was at it
    with reading(two) as session:
        assert not session.scalars(select(ShadowAnswer)).all()
        assert not session.scalars(select(EarlierAnswer)).all()
