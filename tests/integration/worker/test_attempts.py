"""Attempts and leases: what a job does when it fails, hangs, races or is overtaken."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from time import sleep
from types import SimpleNamespace
from typing import Any

import pytest
from rq.timeouts import JobTimeoutException
from sqlalchemy import Engine, select, update

from core import queues
from core.errors import (
    DecoderKilled,
    FacewardenError,
    ObjectStoreError,
    ServiceUnavailable,
    WeightsError,
)
from core.model_version import ModelVersion, read_model_version
from core.outcomes import ScreeningStatus, Verdict
from core.policy import Policy
from core.provenance import Provenance
from core.settings import Settings
from ingest.registration import Registrar
from storage import explanations, screenings
from storage.engine import transaction
from storage.objects.folder import FolderStore
from storage.tables import FlaggedFrame, Screening
from tests.screening_results import FACE, screening_result
from worker import context as contexts
from worker import jobs
from worker.context import Context
from worker.decoder.reader import DecodeReport, Probe
from worker.screening.aggregation import VideoScore
from worker.screening.evidence import Evidence
from worker.screening.pipeline import STAGES
from worker.screening.screened import Screened

LONG = 60.0  # seconds that a test waits for what should come at once
Heartbeat = Callable[[], None]

NOBODY = Screened(
    model_version=ModelVersion(
        architecture="smallcnn",
        label="test",
        weights_sha256="0" * 64,
        input_size=64,
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        fake_threshold=0.8,
        suspect_threshold=0.6,
    ),
    provenance=Provenance(),
    probe=Probe(
        container="mp4",
        codec="h264",
        pixel_format="yuv420p",
        width=64,
        height=64,
        rotation=0,
        duration_seconds=1.0,
        frame_rate=25.0,
        frames=25,
        expected_samples=8,
    ),
    report=DecodeReport(
        expected=8, taken=8, damaged=0, decoded_frames=8, seconds=0.1, longest_unseen_seconds=0.5
    ),
    faces=[],
    tracks=[],
    policy=Policy(suspect_from=0.6, fake_from=0.8, stretch_frames=16, top_fraction=0.5),
    video=VideoScore(
        verdict=Verdict.NO_FACE,
        raw=None,
        score=None,
        track=None,
        looks=0.0,
        flagged_from=None,
        high_from=0.0,
        tracks=(),
    ),
    evidence=[],
    timings=dict.fromkeys([*STAGES, "total"], 0.1),
)


FLAGGED = replace(
    NOBODY,
    faces=[FACE],
    tracks=[
        replace(screening_result().tracks[0], start_seconds=0.5, end_seconds=0.5, frames=1, usable_frames=1)
    ],
    video=replace(NOBODY.video, verdict=Verdict.FAKE, raw=2.0, score=0.9, track=0),
    evidence=[Evidence(face=0, score=0.9, image=b"a JPEG", crop=b"a PNG")],
)


class ScriptedPipeline:
    """Does what the test says instead of screening."""

    found = NOBODY

    def __init__(self, act: Callable[[Heartbeat], None]) -> None:
        self.act, self.calls = act, 0

    def screen(self, path: Path, *, name: str, heartbeat: Heartbeat, shadow: None) -> Screened:
        assert path.is_file()
        assert (name, shadow) == ("clip.mp4", None)
        self.calls += 1
        self.act(heartbeat)
        return self.found


@pytest.fixture
def ticket(system: Settings, engine: Engine, tmp_path: Path) -> tuple[int, int]:
    """A video that waits for its first attempt, number and attempt of its screening."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"\x00\x00\x00\x18ftypmp42" + bytes(100))
    registrar = Registrar(system, engine, FolderStore(system.objects_folder))
    assert registrar.register(path, name="clip.mp4", source="test").intake == "queued"
    return (1, 1)


Install = Callable[..., ScriptedPipeline]


@pytest.fixture
def install(system: Settings, engine: Engine) -> Iterator[Install]:
    """Make this process a worker whose pipeline is scripted."""
    made: list[Context] = []

    def with_pipeline(act: Callable[[Heartbeat], None], **changes: Any) -> ScriptedPipeline:
        worker = system.worker.model_copy(update=changes)
        context = Context.of(system.model_copy(update={"worker": worker}))
        pipeline = ScriptedPipeline(act)
        context.__dict__["pipeline"] = pipeline
        context.__dict__["classifier"] = SimpleNamespace(version=read_model_version(system.weights))
        contexts.install(context)
        made.append(context)
        return pipeline

    yield with_pipeline
    for context in made:
        context.engine.dispose()


@pytest.fixture
def row(engine: Engine) -> Callable[[], Screening]:
    def read() -> Screening:
        with transaction(engine) as session:
            return session.scalars(select(Screening)).one()

    return read


def queued_attempts(system: Settings) -> list[str]:
    return queues.queue(queues.connect(system.queue_url), queues.SCREEN).get_job_ids()


Row = Callable[[], Screening]


def nothing(heartbeat: Heartbeat) -> None:
    heartbeat()


def raising(error: BaseException) -> Callable[[Heartbeat], None]:
    def act(heartbeat: Heartbeat) -> None:
        raise error

    return act


def test_a_job_that_runs_twice_screens_once(ticket: tuple[int, int], install: Install, row: Row) -> None:
    pipeline = install(nothing)
    jobs.screen(*ticket)
    before = row()
    jobs.screen(*ticket)
    assert pipeline.calls == 1
    assert (before.status, before.verdict, before.coverage) == (ScreeningStatus.DONE, Verdict.NO_FACE, 1.0)
    assert row().finished_at == before.finished_at


def test_of_two_workers_that_race_for_one_job_one_works(
    ticket: tuple[int, int], install: Install, row: Row
) -> None:
    started, finish = Event(), Event()

    def act(heartbeat: Heartbeat) -> None:
        started.set()
        assert finish.wait(LONG)

    pipeline = install(act)
    first = Thread(target=jobs.screen, args=ticket)
    first.start()
    assert started.wait(LONG)
    jobs.screen(*ticket)  # returns at once
    finish.set()
    first.join(LONG)
    assert pipeline.calls == 1
    assert row().status == ScreeningStatus.DONE


def test_the_result_of_an_attempt_that_was_overtaken_is_dropped(
    ticket: tuple[int, int], install: Install, engine: Engine, row: Row
) -> None:
    def overtaken(heartbeat: Heartbeat) -> None:
        with transaction(engine) as session:
            screening = session.scalars(select(Screening)).one()
            again = screenings.request(
                session,
                video_id=screening.video_id,
                model_version_id=screening.model_version_id,
                again=True,
            )
            assert again is not None

    install(overtaken)
    jobs.screen(*ticket)
    left = row()
    assert (left.status, left.attempt, left.verdict) == (ScreeningStatus.QUEUED, 2, None)


def test_work_stops_once_its_lease_is_lost(
    ticket: tuple[int, int], install: Install, engine: Engine, row: Row
) -> None:
    checks = 0

    def until_lost(heartbeat: Heartbeat) -> None:
        nonlocal checks
        with transaction(engine) as session:
            session.execute(update(Screening).values(lease_owner="another worker"))
        lost = Event()
        while not lost.wait(0.01) and checks < LONG * 100:
            checks += 1
            heartbeat()

    install(until_lost, lease_seconds=0.2)
    jobs.screen(*ticket)
    assert checks < LONG * 100
    left = row()
    assert (left.status, left.lease_owner) == (ScreeningStatus.SCREENING, "another worker")


def test_a_running_screening_that_is_cancelled_stops_at_the_next_renewal(
    ticket: tuple[int, int], install: Install, engine: Engine, row: Row
) -> None:
    checks = 0

    def cancelled(heartbeat: Heartbeat) -> None:
        nonlocal checks
        with transaction(engine) as session:
            screenings.cancel(session, row().video_id, actor="sam")
        lost = Event()
        while not lost.wait(0.01) and checks < LONG * 100:
            checks += 1
            heartbeat()

    pipeline = install(cancelled, lease_seconds=0.2)
    jobs.screen(*ticket)
    assert checks < LONG * 100
    left = row()
    assert (left.status, left.error_code, left.lease_owner) == (ScreeningStatus.FAILED, "cancelled", None)
    assert left.error_message is not None
    assert left.error_message.startswith("clip.mp4: sam cancelled the screening.")
    jobs.screen(*ticket)  # as Redis may deliver it again
    assert pipeline.calls == 1


@pytest.mark.parametrize("fault", [RuntimeError("a bug"), MemoryError()], ids=["bug", "memory"])
def test_an_unknown_fault_is_tried_again_and_given_up_in_the_end(
    fault: Exception, ticket: tuple[int, int], install: Install, system: Settings, row: Row
) -> None:
    pipeline = install(raising(fault), max_attempts=3)
    for attempt in (1, 2):
        jobs.screen(1, attempt)
        left = row()
        assert (left.status, left.attempt) == (ScreeningStatus.QUEUED, attempt + 1)
        assert f"screen-1-{attempt + 1}" in queued_attempts(system)
    jobs.screen(1, 3)
    left = row()
    assert pipeline.calls == 3
    assert (left.status, left.error_code) == (ScreeningStatus.FAILED, "attempts_exhausted")
    assert left.error_message is not None
    assert type(fault).__name__ in left.error_message
    assert left.error_message.startswith("clip.mp4: ")


@pytest.mark.parametrize(
    "end", [JobTimeoutException("too long"), SystemExit()], ids=["alarm", "told to stop"]
)
def test_an_interruption_gives_the_attempt_back_and_goes_on_up(
    end: BaseException, ticket: tuple[int, int], install: Install, system: Settings, row: Row
) -> None:
    install(raising(end))
    with pytest.raises(type(end)):
        jobs.screen(*ticket)
    left = row()
    assert (left.status, left.attempt, left.lease_owner) == (ScreeningStatus.QUEUED, 2, None)
    assert left.failures == (
        0 if isinstance(end, SystemExit) else 1
    )  # being stopped is not the video's fault
    assert "screen-1-2" in queued_attempts(system)


@pytest.mark.parametrize(
    "fault",
    [
        ObjectStoreError(key="objects", reason="No space left on device"),
        ServiceUnavailable(service="The database", address="x", reason="away", setting="y"),
    ],
    ids=["full disk", "database"],
)
def test_what_the_installation_spoils_never_uses_up_a_videos_attempts(
    fault: FacewardenError, ticket: tuple[int, int], install: Install, system: Settings, row: Row
) -> None:
    pipeline = install(raising(fault), max_attempts=2)
    for attempt in range(1, 6):
        jobs.screen(1, attempt)
        left = row()
        assert (left.status, left.attempt, left.failures) == (ScreeningStatus.QUEUED, attempt + 1, 0)
        # Not at once: the reconciler's next look is soon enough to try again.
        assert f"screen-1-{attempt + 1}" not in queued_attempts(system)
    pipeline.act = nothing
    jobs.screen(1, 6)
    assert row().status == ScreeningStatus.DONE


def test_a_job_past_its_deadline_is_given_back(ticket: tuple[int, int], install: Install, row: Row) -> None:
    def endless(heartbeat: Heartbeat) -> None:
        while True:
            heartbeat()
            sleep(0.01)

    install(endless, job_seconds=1)
    jobs.screen(*ticket)
    left = row()
    assert (left.status, left.attempt) == (ScreeningStatus.QUEUED, 2)


@pytest.mark.parametrize(
    "error",
    [
        DecoderKilled(name="clip.mp4", reason="it hung", remedy="Export it again."),
        WeightsError(path="x", reason="they are broken"),
    ],
    ids=["input", "installation"],
)
def test_what_would_fail_again_is_not_tried_again(
    error: Any, ticket: tuple[int, int], install: Install, row: Row
) -> None:
    install(raising(error))
    jobs.screen(*ticket)
    left = row()
    assert (left.status, left.attempt, left.error_code) == (ScreeningStatus.FAILED, 1, error.code)
    assert left.error_message == str(error)


def test_a_score_is_never_stored_under_another_models_name(
    ticket: tuple[int, int], install: Install, row: Row, tmp_path: Path
) -> None:
    pipeline = install(nothing)
    context = contexts.current()
    context.classifier.version = SimpleNamespace(id="xception-of-today")  # type: ignore[misc,assignment]
    context.settings = context.settings.model_copy(update={"weights": tmp_path / "today.safetensors"})
    jobs.screen(*ticket)
    left = row()
    assert pipeline.calls == 0
    assert (left.status, left.error_code) == (ScreeningStatus.FAILED, "weights_error")
    assert "xception-of-today" in (left.error_message or "")
    assert f"{left.model_version_id} is needed" in (left.error_message or "")
    assert str(tmp_path) in (left.error_message or "")


def test_a_video_that_vanished_is_missed_under_its_own_name(
    ticket: tuple[int, int], install: Install, system: Settings, row: Row
) -> None:
    install(nothing)
    for path in system.objects_folder.rglob("*"):
        if path.is_file():
            path.unlink()
    jobs.screen(*ticket)
    left = row()
    assert left.error_code == "file_vanished"
    assert (left.error_message or "").startswith("clip.mp4: ")


def test_a_verdict_stands_though_redis_is_away(
    ticket: tuple[int, int], install: Install, engine: Engine, row: Row
) -> None:
    install(nothing).found = FLAGGED
    context = contexts.current()
    context.__dict__["settings"] = context.settings.model_copy(update={"redis_url": None})
    jobs.screen(*ticket)
    assert (row().status, row().verdict) == (ScreeningStatus.DONE, Verdict.FAKE)
    with transaction(engine) as session:
        (frame,) = session.scalars(select(FlaggedFrame)).all()
    assert frame.explain_status == "queued"  # for the reconciler to find
    assert context.objects.read(frame.image_key) == b"a JPEG"
    assert context.objects.read(frame.crop_key) == b"a PNG"


def test_a_failed_attempt_is_given_back_though_redis_is_away(
    ticket: tuple[int, int], install: Install, row: Row
) -> None:
    install(raising(RuntimeError("a bug")))
    context = contexts.current()
    context.__dict__["settings"] = context.settings.model_copy(update={"redis_url": None})
    jobs.screen(*ticket)
    left = row()
    assert (left.status, left.attempt) == (ScreeningStatus.QUEUED, 2)


def test_an_explanation_is_tried_as_often_as_a_screening_however_often_it_is_asked_for(
    ticket: tuple[int, int],
    install: Install,
    engine: Engine,
    system: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a passing fault")

    def frame() -> FlaggedFrame:
        with transaction(engine) as session:
            return session.scalars(select(FlaggedFrame)).one()

    monkeypatch.setattr("worker.explaining.explain_frame", broken)
    install(nothing, max_attempts=3).found = FLAGGED
    jobs.screen(*ticket)
    with transaction(engine) as session:
        for _ in range(3):
            explanations.ask_again(session, 1)
    for failures in (1, 2):
        jobs.explain(1, frame().explain_attempt)
        left = frame()
        assert (left.explain_status, left.explain_failures, left.lease_owner) == ("queued", failures, None)
        waiting = queues.queue(queues.connect(system.queue_url), queues.EXPLAIN).get_job_ids()
        assert f"explain-1-{left.explain_attempt}" in waiting
    jobs.explain(1, frame().explain_attempt)
    assert (frame().explain_status, frame().explain_error) == ("failed", "RuntimeError: a passing fault")


def test_a_job_for_nothing_changes_nothing(install: Install, engine: Engine) -> None:
    pipeline = install(nothing)
    jobs.screen(99, 1)
    jobs.explain(99, 1)
    assert pipeline.calls == 0
    with transaction(engine) as session:
        assert session.scalars(select(FlaggedFrame)).all() == []
