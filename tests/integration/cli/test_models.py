"""`facewarden models`, as it is typed."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from core.errors import Conflict
from core.model_version import read_model_version
from core.outcomes import Verdict
from core.settings import Settings
from storage.engine import connect, transaction
from storage.migrate import upgrade
from tests.integration.worker.test_reaggregation import kept
from tests.screening_results import register_model, screening_result


@pytest.fixture
def ask(settings: Settings, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    weights = settings.home / "weights" / "today.safetensors"
    weights.parent.mkdir(parents=True)
    shutil.copy(checkpoint, weights)
    monkeypatch.setattr("cli.models.read_settings", lambda: settings.model_copy(update={"weights": weights}))
    engine = connect(settings.sql_url)
    upgrade(engine)
    with transaction(engine) as session:
        register_model(session)
        register_model(session, "m-2")
    kept(engine, screening_result())
    kept(engine, ("m-2", screening_result(Verdict.CLEAR, 0.1)))
    engine.dispose()

    def asked(*words: str) -> str:
        done = CliRunner().invoke(app, ["models", *words], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    return asked


def test_versions_are_listed_compared_promoted_and_rolled_back(ask: Any, checkpoint: Path) -> None:
    assert "None was promoted" in ask("list")
    compared = ask("compare", "m-1", "m-2")
    assert "1 videos by both (0 only by m-1, 0 only by m-2); the same verdict: 0.0%" in compared
    assert "then clear" in compared
    (row,) = json.loads(ask("compare", "m-1", "m-2", "--json"))["videos"]
    assert (row["before"], row["after"], row["videos"]) == ("fake", "clear", 1)

    told = json.loads(ask("report", "m-1", "--json"))
    assert (told["scored"], told["reviewed"], told["strata"][9]["scored"]) == (1, 0, 1)
    said = ask("report", "m-1", "--rate", "0.02", "--since", "2020-01-01")
    assert "0 of 1 scored videos were decided" in " ".join(said.split())
    assert "to flag 2.0% of the genuine videos: nothing to suggest" in " ".join(said.split())

    with pytest.raises(Conflict, match="--elsewhere"):
        ask("promote", "m-2")
    assert ask("promote", "m-2", "--elsewhere").startswith("m-2 screens new videos")
    version = read_model_version(checkpoint).id
    assert ask("promote", str(checkpoint)).startswith(f"{version} screens new videos")
    found = {each["id"]: each for each in map(json.loads, ask("list", "--json").splitlines())}
    assert (found[version]["active"], found["m-2"]["active"]) == (True, False)
    assert (found[version]["checkpoint"] is not None, found["m-2"]["checkpoint"]) == (True, None)
    assert ask("rollback") == "new videos are screened by m-2 again\n"
    assert ask("rollback") == "new videos are screened by the checkpoint of FACEWARDEN_WEIGHTS again\n"
