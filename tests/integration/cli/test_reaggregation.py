"""`facewarden reaggregate`, as it is typed."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from core.outcomes import Verdict
from core.settings import Settings
from storage.engine import connect, transaction
from storage.migrate import upgrade
from tests.integration.worker.test_reaggregation import kept
from tests.screening_results import register_model, screening_result


@pytest.fixture
def ask(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command, on two videos: one flagged, one clear."""
    monkeypatch.setattr("cli.reaggregation.read_settings", lambda: settings)
    engine = connect(settings.sql_url)
    upgrade(engine)
    with transaction(engine) as session:
        register_model(session)
    kept(engine, screening_result())
    kept(engine, screening_result(Verdict.CLEAR, 0.1), 2)
    engine.dispose()

    def asked(*words: str, exit_code: int = 0) -> Any:
        done = CliRunner().invoke(app, ["reaggregate", *words], catch_exceptions=False)
        assert done.exit_code == exit_code, done.output
        return done

    return asked


def test_a_dry_run_says_what_would_flip_and_apply_does_it(ask: Any) -> None:
    dry = ask("--suspect-from", "0.8", "--fake-from", "0.99", "--where", "verdict=fake")
    assert "1 would flip" in dry.stdout
    assert "now suspect" in dry.stdout
    assert "FACEWARDEN_SCORING__FAKE_THRESHOLD=0.99" in dry.stderr
    flip = {"before": "fake", "after": "suspect", "source": "", "decision": "none", "videos": 1}
    words = ["--suspect-from", "0.8", "--fake-from", "0.99", "--json"]
    done = json.loads(ask(*words, "--where", "verdict=fake", "--apply").stdout)
    assert (done["applied"], done["flipped"], done["verdicts"]) == (True, 1, [flip])
    after = json.loads(ask(*words).stdout)
    assert (after["judged_already"], after["judged"], after["newly_flagged"]) == (1, 1, 1)
    assert "1 newly flagged have no frames" in ask("--suspect-from", "0.8", "--fake-from", "0.99").stdout


@pytest.mark.parametrize(
    "words",
    [
        ["--where", "verdict"],
        ["--where", "colour=red"],
        ["--where", "sort=time"],
        ["--where", "score_min=high"],
        ["--where", "score_min=0.1", "--where", "score_min=0.2"],
        ["--suspect-from", "0.9", "--fake-from", "0.5"],
        ["--stretch-frames", "2"],
    ],
)
def test_what_it_does_not_understand_is_refused(ask: Any, words: list[str]) -> None:
    ask(*words, exit_code=2)
