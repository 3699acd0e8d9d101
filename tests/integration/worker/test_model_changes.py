"""Workers whose model changes: promoted, rolled back, missing, and watched by a shadow."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from cli import doctor
from core import metrics, queues
from core.errors import CheckpointMissing
from core.model_version import ModelVersion, read_model_version
from core.settings import Settings, ShadowSettings
from ingest.registration import register_version
from models.checkpoint import load_checkpoint, save_checkpoint
from storage import model_versions
from storage.engine import reading, transaction
from storage.tables import FrameScore, Screening, ShadowAnswer
from tests.integration.worker.test_jobs import take_in
from worker import context as contexts
from worker import jobs
from worker.context import Context
from worker.process import run_worker


@pytest.fixture
def weights(checkpoint: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Today's checkpoint and the next one, in one folder."""
    network, version = load_checkpoint(checkpoint)
    folder = tmp_path / "weights"
    folder.mkdir()
    save_checkpoint(folder / "today.safetensors", network, version)
    stricter = replace(version, label="next", fake_threshold=1.0, suspect_threshold=1.0)
    save_checkpoint(folder / "next.safetensors", network, stricter)
    return folder / "today.safetensors", folder / "next.safetensors"


@pytest.fixture
def promoted(system: Settings, engine: Engine, weights: tuple[Path, Path]) -> ModelVersion:
    version = read_model_version(weights[1])
    with transaction(engine) as session:
        register_version(session, version)
        model_versions.promote(session, version.id, actor="anna")
    return version


def rows(engine: Engine) -> list[Screening]:
    with reading(engine) as session:
        return list(session.scalars(select(Screening).order_by(Screening.id)))


@pytest.fixture
def context(system: Settings, engine: Engine, weights: tuple[Path, Path]) -> Iterator[Context]:
    made = Context.of(system.model_copy(update={"weights": weights[0]}))
    contexts.install(made)
    yield made
    made.engine.dispose()


def test_what_was_promoted_screens_new_videos_from_the_next_job_on(
    context: Context, engine: Engine, face_clip: Path, promoted: ModelVersion
) -> None:
    assert context.classifier.version.id == promoted.id, "a worker that starts takes it"
    assert doctor._promoted(context.settings) == f"{promoted.id}, from next.safetensors"
    with transaction(engine) as session:
        model_versions.roll_back(session, actor="anna")
    take_in(context.settings, engine, face_clip)
    jobs.screen(1, 1)
    (row,) = rows(engine)
    today = read_model_version(context.settings.weights).id
    assert (row.model_version_id, row.verdict) == (today, "fake"), "one that runs takes it with the next job"


def test_a_machine_without_the_promoted_checkpoint_fails_no_video(
    context: Context, engine: Engine, face_clip: Path, weights: tuple[Path, Path], promoted: ModelVersion
) -> None:
    weights[1].unlink()
    take_in(context.settings, engine, face_clip)
    with pytest.raises(CheckpointMissing, match="models rollback"):
        _ = context.classifier
    with pytest.raises(CheckpointMissing):
        doctor._promoted(context.settings)
    jobs.screen(1, 1)
    (row,) = rows(engine)
    assert (row.model_version_id, row.status, row.failures) == (promoted.id, "queued", 0)
    assert row.attempt == 2, "another machine, or this one later"


def test_what_waits_for_a_version_that_is_no_longer_promoted_waits_on(
    context: Context, engine: Engine, face_clip: Path, weights: tuple[Path, Path], promoted: ModelVersion
) -> None:
    weights[1].unlink()
    take_in(context.settings, engine, face_clip)
    with transaction(engine) as session:  # on a machine that cannot tell what is screened by instead
        model_versions.roll_back(session, actor="anna")
    assert context.classifier.version.id != promoted.id
    jobs.screen(1, 1)
    (row,) = rows(engine)
    assert (row.model_version_id, row.status, row.failures, row.attempt) == (promoted.id, "queued", 0, 2)
    jobs.screen(1, 2)
    (row,) = rows(engine)
    assert (row.status, row.error_code, row.attempt) == ("queued", None, 3), "each time it is looked for"


def test_what_waited_for_an_undone_version_is_screened_by_the_one_before(
    context: Context, engine: Engine, face_clip: Path, weights: tuple[Path, Path], promoted: ModelVersion
) -> None:
    weights[1].unlink()
    take_in(context.settings, engine, face_clip)
    today = read_model_version(context.settings.weights)
    with transaction(engine) as session:
        done = model_versions.roll_back(session, actor="anna", otherwise=today.id)
    assert (done.undone, done.now, done.moved, done.cancelled) == (promoted.id, None, 1, 0)
    jobs.screen(1, 1)
    assert rows(engine)[0].status == "queued", "the job of the undone version finds nothing"
    jobs.screen(1, 2)
    (row,) = rows(engine)
    assert (row.model_version_id, row.verdict, row.latest) == (today.id, "fake", True)


def test_a_shadow_is_stored_apart(
    system: Settings, engine: Engine, face_clip: Path, weights: tuple[Path, Path]
) -> None:
    changes = {"weights": weights[0], "shadow": ShadowSettings(weights=weights[1])}
    watched = system.model_copy(update=changes)
    take_in(watched, engine, face_clip)
    before = metrics.SHADOWED.labels(outcome="other")._value.get()
    assert run_worker(queues.SCREEN, watched, burst=True) == 0
    assert metrics.SHADOWED.labels(outcome="other")._value.get() == before + 1
    (row,) = rows(engine)
    with reading(engine) as session:
        (shadow,) = session.scalars(select(ShadowAnswer)).all()
        logits = session.scalars(select(FrameScore.logit).order_by(FrameScore.face_id)).all()
    assert (row.verdict, shadow.verdict) == ("fake", "clear")
    assert shadow.model_version_id == read_model_version(weights[1]).id
    assert shadow.logits == pytest.approx(logits), "the same network on the same crops"


def test_a_shadow_that_cannot_be_loaded_or_is_not_drawn_casts_none(
    context: Context, weights: tuple[Path, Path]
) -> None:
    def with_shadow(**settings: object) -> Context:
        shadow = ShadowSettings.model_validate({"weights": weights[1], **settings})
        made = Context.of(context.settings.model_copy(update={"shadow": shadow}))
        made.__dict__["engine"] = context.engine
        return made

    weights[1].with_suffix(".broken").write_bytes(b"no checkpoint")
    assert with_shadow(weights=weights[1].with_suffix(".broken")).shadow_of("key", "m") is None
    half = with_shadow(share=0.5)
    drawn = [half.shadow_of(f"key {number}", "m") is not None for number in range(200)]
    assert 70 < sum(drawn) < 130
    assert drawn == [half.shadow_of(f"key {number}", "m") is not None for number in range(200)]
    assert with_shadow().shadow_of("key", read_model_version(weights[1]).id) is None, "it screens it anyway"
