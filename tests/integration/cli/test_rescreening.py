"""`facewarden rescreen`, as it is typed: against SQLite and a real Valkey."""

import json
from typing import Any

import pytest
from sqlalchemy import Engine, select
from typer.testing import CliRunner

from cli.main import app
from core import queues
from core.errors import Conflict, NotFound
from core.outcomes import ScreeningStatus
from core.priorities import Priority
from core.settings import Settings
from ingest import backlog
from storage.engine import connect, reading, transaction
from storage.migrate import upgrade
from storage.tables import AuditEvent, Screening, Video
from tests.integration.worker.test_reaggregation import kept
from tests.screening_results import register_model, screening_result


@pytest.fixture
def system(settings: Settings, valkey_url: str) -> Settings:
    queues.connect(valkey_url).flushall()
    return Settings(**settings.model_dump(exclude_unset=True) | {"redis_url": valkey_url}, _env_file=None)


@pytest.fixture
def engine(system: Settings) -> Any:
    """Three videos that m-1 has screened; the file of the last is gone."""
    made = connect(system.sql_url)
    upgrade(made)
    with transaction(made) as session:
        for version in ("m-1", "m-2", "n-3"):
            register_model(session, version)
    for number in (1, 2, 3):
        kept(made, screening_result(score=number / 10), number)
    with transaction(made) as session:
        session.get_one(Video, 3).object_key = ""
    yield made
    made.dispose()


@pytest.fixture
def ask(system: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("cli.rescreening.read_settings", lambda: system)

    def asked(*words: str) -> Any:
        done = CliRunner().invoke(app, ["rescreen", "--json", *words], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    return asked


def waiting(engine: Engine) -> list[tuple[int, str]]:
    with reading(engine) as session:
        rows = select(Screening.video_id, Screening.model_version_id).order_by(Screening.id)
        return [tuple(row) for row in session.execute(rows.where(Screening.status == ScreeningStatus.QUEUED))]


def test_what_another_model_has_not_seen_waits_as_bulk_work(
    system: Settings, engine: Engine, ask: Any
) -> None:
    selected = {"new": 2, "erased": 1}
    assert ask("--model", "m-2", "--dry-run") == {"asked": 2, "dry_run": True, "selected": selected}
    assert waiting(engine) == []
    assert ask("--model", "m-2", "--limit", "1")["asked"] == 1
    assert ask("--model", "m-2") == {
        "asked": 1,
        "dry_run": False,
        "selected": {"new": 1, "waiting": 1, "erased": 1},
    }, "it goes on where it stopped"
    assert waiting(engine) == [(1, "m-2"), (2, "m-2")]
    depths = queues.depths(queues.connect(system.queue_url), queues.SCREEN)
    assert (depths[Priority.BACKFILL], depths[Priority.NORMAL]) == (2, 0)
    with reading(engine) as session:
        verdicts = session.scalars(select(Screening.verdict).where(Screening.latest)).all()
        assert verdicts == ["fake"] * 3, "each keeps its verdict until the new one is there"
        log = session.scalars(select(AuditEvent).where(AuditEvent.action == "videos.screened_again")).all()
    assert [event.detail["model_version"] for event in log] == ["m-2", "m-2"]


def test_what_it_has_screened_waits_again_only_if_asked_for(engine: Engine, ask: Any) -> None:
    assert ask("--model", "m-1")["selected"] == {"done": 2, "erased": 1}
    assert waiting(engine) == []
    assert ask("--model", "m-1", "--again", "--where", "score_min=0.15")["asked"] == 1
    assert waiting(engine) == [(2, "m-1")]


def test_a_model_is_named_by_id_beginning_or_file(engine: Engine, ask: Any, checkpoint: Any) -> None:
    assert ask("--model", "n-", "--dry-run")["asked"] == 2
    assert ask("--model", str(checkpoint), "--dry-run")["asked"] == 2
    with pytest.raises(NotFound):
        ask("--model", "x-1")
    with pytest.raises(Conflict, match=r"m-2, m-1|m-1, m-2"):
        ask("--model", "m-")


def test_it_pauses_while_the_queue_is_deep(
    system: Settings, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As soon as a worker has taken what waits, the next one is asked for."""
    few = system.model_copy(update={"ingest": system.ingest.model_copy(update={"queue_limit": 1})})
    monkeypatch.setattr("cli.rescreening.read_settings", lambda: few)
    redis = queues.connect(system.queue_url)
    queues.enqueue_screen(redis, 999, 1, job_seconds=60, priority=Priority.BACKFILL)
    pauses = []

    def taken(seconds: float) -> None:
        pauses.append(seconds)
        queues.queue(redis, queues.SCREEN, Priority.BACKFILL).empty()

    monkeypatch.setattr(backlog.time, "sleep", taken)
    assert ask("--model", "m-2")["asked"] == 2
    assert pauses
