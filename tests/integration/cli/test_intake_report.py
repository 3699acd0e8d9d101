"""What `facewarden ingest --wait` waits for."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import Engine

from cli import intake_report
from cli.intake_report import Report
from core.outcomes import Verdict
from core.settings import Settings
from ingest.registration import Intake, Receipt
from ingest.steps import Step
from storage import screenings
from storage.engine import connect, transaction
from storage.migrate import upgrade
from storage.results import complete
from tests.integration.worker.test_reaggregation import kept
from tests.screening_results import register_model, screening_result


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    made = connect(settings.sql_url)
    upgrade(made)
    with transaction(made) as session:
        register_model(session)
        register_model(session, "m-2")
    yield made
    made.dispose()


Waited = Callable[[int, Callable[[], None]], list[tuple[str | None, str | None]]]


@pytest.fixture
def waited(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Waited:
    def of(video_id: int, meanwhile: Callable[[], None]) -> list[tuple[str | None, str | None]]:
        """Status and verdict that are reported of a queued video; `meanwhile` runs once it is waited for."""
        left = [meanwhile]
        # Where it waits once more, nothing is left to happen, and it would wait for ever.
        monkeypatch.setattr(intake_report, "time", SimpleNamespace(sleep=lambda _: left.pop()()))
        with Report(engine) as report:
            receipt = Receipt(name="a.mp4", intake=Intake.QUEUED, video_id=video_id)
            report.add("path", Step(files=1, receipt=receipt))
            report.wait(lambda _: None)
            report.write(tmp_path / "report.json", judged=True)
        told = json.loads((tmp_path / "report.json").read_text())
        return [(row["status"], row["verdict"]) for row in told["files"]]

    return of


def test_a_video_that_was_erased_is_not_waited_for(waited: Waited) -> None:
    assert waited(999, lambda: None) == [(None, None)]


def test_the_verdict_of_the_model_that_was_asked_is_waited_for(engine: Engine, waited: Waited) -> None:
    kept(engine, screening_result(Verdict.CLEAR, 0.1))  # by the model before
    with transaction(engine) as session:
        ticket = screenings.request(session, video_id=1, model_version_id="m-2")
    assert ticket is not None

    def screen() -> None:
        with transaction(engine) as session:
            claimed = screenings.LEASES.claim(session, ticket, owner="w", lease_seconds=60)
            assert claimed is not None
            complete(session, claimed, screening_result(score=0.9))

    assert waited(1, screen) == [("done", "fake")]
