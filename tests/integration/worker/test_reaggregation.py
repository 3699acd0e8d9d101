"""Another policy's verdicts from stored logits are those that the pipeline would have given."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Engine, select

from core.flips import Flip
from core.model_version import Calibration, Looks
from core.outcomes import DecisionOutcome, MediaKind, Replaced, Verdict
from core.outgoing import Guard
from core.policy import Policy
from core.roles import Role
from core.settings import ScoringSettings, Settings
from core.signals import Signal
from ingest.registration import register_version
from storage import audit, earlier_answers, reaggregation, screenings, videos
from storage.engine import reading, transaction
from storage.objects.folder import FolderStore
from storage.people import accounts, decisions
from storage.queue.filters import Filters
from storage.results import complete
from storage.tables import AuditEvent, FaceTrack, FlaggedFrame, Screening, WebhookEvent
from storage.webhooks import endpoints
from tests.integration.storage.conftest import bare_engine, engine
from tests.screening_results import register_model, screening_result
from tests.unit.worker.screening.test_pipeline import (
    LEFT,
    RIGHT,
    VERSION,
    BrightnessClassifier,
    KnownDetector,
    clip,
    face,
    screen,
    small_batches,
)
from worker.outcome import to_result
from worker.reaggregation import Tally, reaggregate
from worker.screening.screened import Screened

__all__ = ["bare_engine", "clip", "engine", "small_batches"]

ANYTHING = Filters()
POLICY = Policy(suspect_from=0.5, fake_from=0.5, stretch_frames=16, top_fraction=0.5).stored()
LENIENT = ScoringSettings(fake_threshold=0.99, suspect_threshold=0.95)


class Wavering(BrightnessClassifier):
    """Each crop its own logit, always the same ones; many looks count for less."""

    version = replace(
        VERSION, calibration=Calibration(slope=0.8, looks=Looks(centre=-2, spread=1, repeat=0.5))
    )

    def answers(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        numbers = len(self.crops) + np.arange(len(crops))
        return super().answers(crops) / 2 + 2 * np.sin(numbers, dtype=np.float32)[:, None]


def screened_by(settings: Settings, scoring: ScoringSettings, clip: Path) -> Screened:
    changed = settings.model_copy(update={"scoring": scoring})
    return screen(changed, clip, KnownDetector(face(LEFT), face(RIGHT)), Wavering())


def kept(engine: Engine, found: Any, number: int = 1) -> int:
    """Store what was found in a fresh video, as a worker does; returns the screening's number."""
    with transaction(engine) as session:
        video_id, _ = videos.add(
            session,
            sha256=f"{number:064}",
            size_bytes=5,
            media_kind=MediaKind.VIDEO,
            object_key=f"key {number}",
        )
        model = session.scalar(select(Screening.model_version_id).limit(1)) or "m-1"
        if isinstance(found, tuple):
            model, found = found
        ticket = screenings.request(session, video_id=video_id, model_version_id=model)
        assert ticket is not None
        claimed = screenings.LEASES.claim(session, ticket, owner="w", lease_seconds=60)
        assert claimed is not None
        complete(session, claimed, found)
        return ticket.row_id


def row(engine: Engine, number: int) -> Screening:
    with reading(engine) as session:
        found = session.get(Screening, number)
        assert found is not None
        return found


def apply(engine: Engine, scoring: ScoringSettings, filters: Filters = ANYTHING) -> Tally:
    return reaggregate(engine, filters, scoring, apply=True, actor="anna")


def test_it_is_as_if_the_pipeline_had_known_the_policy(
    engine: Engine, small_batches: Settings, clip: Path, tmp_path: Path
) -> None:
    store = FolderStore(tmp_path / "objects")
    first = screened_by(small_batches, ScoringSettings(), clip)
    with transaction(engine) as session:
        register_version(session, first.model_version)
    number = kept(engine, (first.model_version.id, to_result(first, store)))
    assert apply(engine, ScoringSettings()).judged_already == 1, "the worker says which policy it was"

    lower = ScoringSettings(stretch_frames=8, top_fraction=0.25, suspect_threshold=0.3, fake_threshold=0.5)
    for other in (ScoringSettings(stretch_frames=6), lower, LENIENT):
        expected = screened_by(small_batches, other, clip)
        tally = apply(engine, other)
        assert (tally.videos.total(), tally.changed) == (1, 1)
        now = row(engine, number)
        assert (now.verdict, now.policy) == (expected.verdict, expected.policy.stored())
        assert (now.score, now.raw_score, now.looks) == pytest.approx(
            (expected.score, expected.video.raw, expected.video.looks)
        )
        with reading(engine) as session:
            tracks = session.scalars(select(FaceTrack).order_by(FaceTrack.number)).all()
        for track, like in zip(tracks, expected.tracks, strict=True):
            assert (track.score, track.raw_score) == pytest.approx((like.score, like.raw_score))
            assert track.flagged_ranges == [list(part) for part in like.flagged_ranges]
    again = apply(engine, other)
    assert (again.judged_already, again.videos.total()) == (1, 0), "it goes on where it stopped"


def test_verdicts_flip_in_a_dry_run_first_and_nothing_is_lost(engine: Engine) -> None:
    with transaction(engine) as session:
        register_model(session)
        endpoints.add(
            session,
            url="https://203.0.113.7/",
            events=list(Signal),
            guard=Guard(schemes=frozenset({"https"}), networks=(), remedy=""),
            actor="t",
        )
        anna = accounts.add(
            session, name="anna", role=Role.SERVICE, password_hash=None, actor="t", must_change=False
        )
    fake, clear = kept(engine, screening_result()), kept(engine, screening_result(Verdict.CLEAR, 0.1), 2)
    nobody = screening_result(Verdict.NO_FACE, None)
    kept(engine, replace(nobody, raw_score=None, tracks=[], faces=[]), 3)
    with transaction(engine) as session:
        decisions.decide(
            session, video_id=row(engine, fake).video_id, account_id=anna.id, outcome=DecisionOutcome.GENUINE
        )
    told = events(engine)

    dry = reaggregate(engine, ANYTHING, LENIENT, apply=False, actor="anna")
    assert dry.flips == {Flip(before="fake", after="clear", source="", decision="genuine"): 1}
    assert (row(engine, fake).verdict, row(engine, fake).policy) == ("fake", None), "nothing is written"
    assert apply(engine, LENIENT).videos == dry.videos

    now = row(engine, fake)
    assert (now.verdict, now.decision_state, now.revision, now.latest) == ("clear", "decided", 1, True)
    assert events(engine)[len(told) :] == [Signal.SCREENED], "of the one that flipped"
    with reading(engine) as session:
        (before,) = earlier_answers.of_screening(session, fake)
        assert (before.verdict, before.score, before.because) == ("fake", 0.9, Replaced.REAGGREGATED)
        assert session.scalars(select(FlaggedFrame.screening_id)).all() == [fake], "its evidence stays"
        assert session.scalars(select(FaceTrack.flagged_ranges)).all() == [[], []]
        log = session.scalars(select(AuditEvent).where(AuditEvent.action == "screenings.reaggregated")).one()
        assert (log.actor, log.detail["flips"]) == ("anna", [[fake, "fake", "clear"]])
        assert audit.verify(session).sound

    back = apply(engine, ScoringSettings(suspect_threshold=0.5, fake_threshold=0.5))
    assert (back.without_frames, row(engine, fake).verdict, row(engine, clear).verdict) == (2, "fake", "fake")
    assert events(engine)[len(told) + 1 :] == [Signal.SCREENED, Signal.FLAGGED] * 2


def events(engine: Engine) -> list[str]:
    with reading(engine) as session:
        return list(session.scalars(select(WebhookEvent.type).order_by(WebhookEvent.id)))


def test_only_what_the_filters_select_is_judged_anew(engine: Engine) -> None:
    with transaction(engine) as session:
        register_model(session)
    chosen = kept(engine, screening_result())
    left = kept(engine, screening_result(score=0.4), 2)
    tally = apply(engine, LENIENT, Filters(score_min=0.5, model_version="m-1"))
    assert tally.videos.total() == 1
    assert (row(engine, chosen).verdict, row(engine, left).verdict) == ("clear", "fake")


def test_an_answer_that_came_meanwhile_is_left_alone(engine: Engine) -> None:
    """A new screening was asked for, or another run was faster, between reading and writing."""
    with transaction(engine) as session:
        register_model(session)
    number = kept(engine, screening_result())
    with reading(engine) as session:
        (before,) = reaggregation.stored_scores(session, [number])
    answer = reaggregation.Answer(
        before=before,
        policy=POLICY,
        verdict=Verdict.CLEAR,
        score=0.1,
        raw_score=-2.0,
        looks=1.0,
        tracks=[],
    )
    with transaction(engine) as session:
        assert reaggregation.store(session, [answer], actor="t") == [answer]
    with transaction(engine) as session:
        assert reaggregation.store(session, [answer], actor="t") == [], "somebody was faster"
        screenings.request(session, video_id=row(engine, number).video_id, model_version_id="m-1", again=True)
        assert reaggregation.store(session, [answer], actor="t") == [], "it waits for a worker"
    with reading(engine) as session:
        became = [(each.because, each.verdict) for each in earlier_answers.of_screening(session, number)]
    assert became == [("screened_again", "clear"), ("reaggregated", "fake")]


def test_what_mostly_came_damaged_is_not_cleared(engine: Engine) -> None:
    with transaction(engine) as session:
        register_model(session)
    damaged, whole, older = (
        kept(engine, replace(screening_result(coverage=0.4), mostly_damaged=was), number)
        for number, was in enumerate((True, False, False))
    )
    with transaction(engine) as session:
        session.get_one(Screening, older).mostly_damaged = None  # a release that did not note it
    apply(engine, LENIENT)
    became = {number: (row(engine, number).verdict, row(engine, number).score) for number in (damaged, older)}
    assert became == {damaged: ("unjudged", None), older: ("unjudged", None)}
    assert row(engine, whole).verdict == "clear"
