"""The model card: its numbers are those of the results, and the results those of the shipped weights."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import SettingsError
from core.families import Family
from core.model_version import read_model_version
from core.settings import SHIPPED_WEIGHTS
from evaluation.report.lineage import runs
from evaluation.report.model_card import PARTS, renew, renewed
from evaluation.report.results import read_results, write_results

CARD = Path("docs/model-card.md")
RESULTS = SHIPPED_WEIGHTS.with_suffix(".json")
EMPTY = "\n\n".join(f"<!-- generated: {name} -->\n<!-- end: {name} -->" for name in PARTS)


@pytest.fixture
def results() -> dict[str, Any]:
    return read_results(RESULTS)


def test_the_card_in_the_repository_is_true_to_the_results() -> None:
    root = Path(__file__).parents[4]
    assert renew(RESULTS, root / CARD, check=True), "run `facewarden model-card`"


def test_the_results_are_those_of_the_shipped_weights(results: dict[str, Any]) -> None:
    version = read_model_version(SHIPPED_WEIGHTS)
    stated = results["checkpoint"]
    assert (stated["id"], stated["weights_sha256"]) == (version.id, version.weights_sha256)
    assert stated["suspect_threshold"] == version.suspect_threshold
    assert results["threshold"] == version.suspect_threshold


def test_the_shipped_weights_name_the_families_that_were_measured(results: dict[str, Any]) -> None:
    version, measured = read_model_version(SHIPPED_WEIGHTS), results["real"]["families"]
    assert version.calibration.families is not None
    assert measured["families"] == list(version.families) == list(Family)
    assert measured["least"] == version.calibration.families.least
    (videos,) = (row for row in results["real"]["tables"]["pooled"] if row["name"] == "videos")
    assert (measured["all"]["fakes"], measured["flagged"]["fakes"]) == (
        videos["fake"],
        videos["fake_flagged"],
    )


def test_every_number_comes_from_the_results(results: dict[str, Any]) -> None:
    card = renewed(EMPTY, results)
    changed = json.loads(json.dumps(results))
    row = changed["tables"]["pooled"][0]
    row["metrics"]["auc"] = [0.4321, 0.4001, 0.5009]
    row["fake_flagged"] = 12345
    changed["tables"]["kinds"][0]["fake_flagged"] = 54321
    changed["genuine_flagged"]["crf 23"]["all"] = [77, 99]
    other = renewed(card, changed)
    assert "0.432 (0.400 to 0.501)" in other
    assert "54321 of" in other
    assert "77 of 99" in other
    assert not {"0.432 (0.400 to 0.501)", "54321 of", "77 of 99"} & set(card.split("|"))
    assert renewed(other, results) == card


def test_what_people_wrote_stays(results: dict[str, Any]) -> None:
    card = renewed(f"# A title\n\n{EMPTY}\n\n## Known failures\n\n- profiles\n", results)
    assert card.startswith("# A title\n")
    assert card.endswith("## Known failures\n\n- profiles\n")


@pytest.mark.parametrize(
    "broken",
    [
        EMPTY.replace("<!-- end: results -->", ""),
        EMPTY.replace("<!-- generated: data -->", "<!-- generated: dates -->"),
        EMPTY + EMPTY,
    ],
)
def test_a_card_without_its_markers_is_refused(broken: str, results: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="generated"):
        renewed(broken, results)


def test_a_card_that_is_not_true_is_found_and_left_alone(tmp_path: Path, results: dict[str, Any]) -> None:
    card = tmp_path / "card.md"
    card.write_text(EMPTY)
    assert not renew(RESULTS, card, check=True)
    assert card.read_text() == EMPTY
    assert renew(RESULTS, card, check=False)
    assert renew(RESULTS, card, check=True)
    assert "Eileen Collins" in card.read_text()


def test_runs_that_start_from_each_other_are_all_on_the_card(results: dict[str, Any]) -> None:
    *_, first = runs(results["checkpoint"]["training"])[:2]  # the last before any GPU
    first = {**first, "started_from": {}}
    last = {**first, "started_from": {**first, "id": "xception-of-before"}, "pictures": 1408}
    results["checkpoint"]["training"] = last
    card = renewed(EMPTY, results)
    assert f"| pictures seen | {first['pictures']:,} | 1,408 |" in card
    assert f"| start | `{first['config']['init']}` | `xception-of-before` |" in card
    assert "--out build/train-2" in card


def test_the_growth_of_false_alarms_is_shown(results: dict[str, Any]) -> None:
    changed = json.loads(json.dumps(results))
    changed["checkpoint"]["calibration"]["looks"] = {
        "centre": -1.5,
        "spread": 1.75,
        "repeat": 0.25,
        "caution": 0.5,
        "fitted_on": "nine faces",
    }
    row = {"faces": 25, "genuine": [0.877, 0.043], "one_fake": [0.99, 0.6]}
    growth = {"faces": [row], "minutes": [{"minutes": 60, "genuine": [0.321, 0.012]}]}
    changed["growth"] = growth
    card = renewed(EMPTY, changed)
    assert "| 25 | 87.7% | 4.3% | 99.0% | 60.0% |" in card
    assert "| 60 | 32.1% | 1.2% |" in card
    assert "Fitted on nine faces." in card


def test_real_manipulations_are_read_from_beside_and_told(tmp_path: Path, results: dict[str, Any]) -> None:
    alone = {key: value for key, value in results.items() if key != "real"}
    real = json.loads(json.dumps(alone))
    real["tables"]["same_source"] = [{**real["tables"]["pooled"][0], "name": "a source"}]
    path, beside = tmp_path / "weights.json", tmp_path / "weights.real.json"
    write_results(path, alone)
    assert "Not measured" in renewed(EMPTY, read_results(path))
    write_results(beside, real)
    assert "| a source |" in renewed(EMPTY, read_results(path))
    real["checkpoint"]["id"] = "xception-of-another-time"
    write_results(beside, real)
    with pytest.raises(SettingsError, match="of-another-time"):
        read_results(path)
