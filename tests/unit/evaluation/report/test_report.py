"""Reports: one self-contained page, the same numbers in Markdown and JSON."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.errors import SettingsError
from core.families import Family, FamilyCalibration
from core.model_version import UNTRAINED_LABEL, Calibration, ModelVersion
from evaluation.backends import Agreement
from evaluation.report import plots
from evaluation.report.model_card import PARTS
from evaluation.report.report import short_names, write_report
from evaluation.report.results import as_results, of_checkpoint, read_results, write_results
from evaluation.robustness import CONDITIONS
from evaluation.scored_clips import Evaluation, ScoredClip, ScoredCrops, evaluate
from models.datasets.media import GENUINE

HOW = {
    "command": "facewarden evaluate a.safetensors",
    "seconds": 1,
    "machine": "a test",
    "seed": 0,
    "resamples": 20,
    "data": None,
    "labelled": None,
    "checkpoints": 1,
}


def evaluation(seed: int, label: str = "test <1>") -> Evaluation:
    """Of thirty persons, each genuine and forged, under every condition."""
    rng = np.random.default_rng(seed)
    version = ModelVersion(
        architecture="smallcnn",
        label=label,
        weights_sha256=f"{seed:064x}"[::-1],
        input_size=64,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        calibration=Calibration(method="platt", fitted_on="a test"),
    )
    clips = []
    for number in range(30):
        for kind in (GENUINE, ("swap", "denoise")[number % 2]):
            for condition in CONDITIONS:
                raw = float(rng.normal(1.0 if kind != GENUINE else -1.0, 1.0))
                clips.append(
                    ScoredClip(
                        name=f"{number}-{kind}-{condition}",
                        group=str(number),
                        source="photo" if number % 3 else "video",
                        side="evaluation",
                        kind=kind,
                        condition=condition,
                        main=condition in ("crf 23", "crf 32"),
                        robust=number < 8,
                        raw=raw,
                        frames=(raw, raw + 0.2),
                    )
                )
    clips = [clip for clip in clips if clip.main or clip.robust]
    whole = ScoredClip(
        name="w", group="holiday", source="video", side="training", kind=GENUINE, condition="crf 23",
        main=False, robust=False, raw=2.0, frames=(2.0,),
    )  # fmt: skip
    fake = np.arange(40) % 2 == 1
    crops = ScoredCrops(
        logits=rng.normal(fake * 2.0 - 1, 1.0),
        fake=fake,
        group=np.arange(40) // 2,
        kind=np.array(["swap"] * 20 + ["denoise"] * 20),
    )
    return evaluate(version, [*clips, whole], crops, resamples=20)


AGREEMENT = Agreement(
    backend="bf16", crops=40, auc=0.9, auc_difference=0.001, largest_difference=0.01, milliseconds=2.0
)


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    made = [evaluation(1), evaluation(2, UNTRAINED_LABEL)]
    write_report(folder, made, [as_results(each, [AGREEMENT], HOW) for each in made])
    return folder


def test_the_page_needs_nothing_beside_it(comparison: Path) -> None:
    page = (comparison / "report.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert sum(each.startswith("data:image/svg+xml;base64,") for each in sources) == 6
    assert all(each.startswith(("data:", "#")) for each in sources)
    assert "http://" not in re.sub(r'base64,[^"]+', "", page)


def test_checkpoints_stand_side_by_side(comparison: Path) -> None:
    page = (comparison / "report.html").read_text()
    for sha in (f"{seed:064x}"[::-1][:6] for seed in (1, 2)):
        assert page.count(f"smallcnn-{sha}") > 5
    assert 'class="best"' in page
    assert "test &lt;1&gt;" in page
    assert "its scores are no evidence" in page
    assert "holiday" in page


def test_markdown_and_json_hold_the_pages_numbers(comparison: Path) -> None:
    page, text = ((comparison / name).read_text() for name in ("report.html", "report.md"))
    results = json.loads((comparison / "results.json").read_text())
    assert len(results) == 2
    for result in results:
        for row in result["tables"]["pooled"]:
            value, low, high = row["metrics"]["auc"]
            assert low <= value <= high
    values = [row["metrics"]["auc"] for result in results for row in result["tables"]["pooled"]]
    (line,) = (line for line in text.splitlines() if line.startswith("| AUC |"))
    shown = [float(number) for number in re.findall(r"\d\.\d+", line)]
    assert shown == pytest.approx([number for each in values for number in each], abs=0.0006)
    assert all(f"{number:.3f}" in page for number in shown)
    assert "| noise |" in text
    for path in re.findall(r"\]\((plots/\w+\.svg)\)", text):
        assert (comparison / path).read_text().lstrip().startswith("<?xml")


def test_what_fakes_resemble_is_reported(tmp_path: Path) -> None:
    families = (Family.SWAP, Family.GENERATE)
    known = FamilyCalibration(temperature=1.0, least=0.9)
    version = replace(
        evaluation(1).version,
        families=families,
        calibration=Calibration(families=known),
        suspect_threshold=0.5,
    )
    clips = [
        ScoredClip(
            name=str(number), group=str(number), source="s", side="test", kind="tool", condition="as it is",
            main=True, robust=False, raw=raw, frames=(raw,), family="swap", families=said,
        )
        for number, (raw, said) in enumerate([(3.0, (4.0, 0.0)), (3.0, (0.0, 0.0)), (-3.0, (0.0, 4.0))])
    ]  # fmt: skip
    made = evaluate(version, clips, resamples=0)
    results = as_results(made, [], HOW)
    assert results["families"]["flagged"]["confusion"] == {"swap": [1, 0, 1]}
    assert results["families"]["all"]["confusion"] == {"swap": [1, 1, 1]}
    page = write_report(tmp_path, [made], [results]).read_text()
    assert "<tr><td>swap</td><td>1</td><td>0</td><td>1</td></tr>" in page
    assert "| swap | 1 | 0 | 1 |" in (tmp_path / "report.md").read_text()
    card = PARTS["families"]({"real": results})
    assert "| named | 2 of 3 (66.7%) | 1 of 2 (50.0%) |" in card
    assert "| right among those named | 1 of 2 (50.0%) | 1 of 1 (100.0%) |" in card
    assert "| tool | 2 | 1 | 1 |" in card
    assert "Not measured" in PARTS["families"]({"real": as_results(evaluation(1), [], HOW)})
    assert "Not measured" in PARTS["families"]({})


def test_results_outlive_a_checkpoint_that_scores_alike_and_no_other() -> None:
    made = evaluation(1)
    results = as_results(made, [AGREEMENT], HOW) | {"real": {}}
    named = replace(
        made.version,
        weights_sha256="a" * 64,
        families=(Family.SWAP, Family.GENERATE),
        calibration=replace(made.version.calibration, families=FamilyCalibration(temperature=1.0, least=0.9)),
    )
    renewed = of_checkpoint(results, named)
    assert (renewed["checkpoint"]["id"], renewed["measured_as"]) == (named.id, made.version.id)
    assert renewed["tables"] == results["tables"]
    assert "real" not in renewed  # it has a file of its own
    again = of_checkpoint(renewed, replace(named, weights_sha256="b" * 64))
    assert again["measured_as"] == made.version.id
    assert f"Measured as `{made.version.id}`" in PARTS["results"](renewed)
    assert "Measured as" not in PARTS["results"](results)
    for other in (
        replace(named, calibration=replace(named.calibration, slope=1.1)),
        replace(named, suspect_threshold=0.4),
    ):
        with pytest.raises(SettingsError, match="scores otherwise"):
            of_checkpoint(results, other)


def test_the_same_numbers_give_the_same_picture(comparison: Path) -> None:
    made = [evaluation(1), evaluation(2, UNTRAINED_LABEL)]
    drawn = plots.svg(plots.scores(made, short_names(made)))
    assert drawn == (comparison / "plots" / "scores.svg").read_text()


def test_one_class_alone_is_reported_without_curves(tmp_path: Path) -> None:
    made = evaluation(3)
    genuine = evaluate(made.version, [clip for clip in made.clips if not clip.fake], resamples=5)
    page = write_report(tmp_path, [genuine], [as_results(genuine, [], HOW)])
    assert "Evaluation of one checkpoint" in page.read_text()


def test_results_are_read_back_and_other_files_refused(tmp_path: Path) -> None:
    results = as_results(evaluation(1), [AGREEMENT], HOW)
    write_results(tmp_path / "a.json", results)
    assert read_results(tmp_path / "a.json") == json.loads(json.dumps(results))
    assert results["genuine_flagged"] == {"crf 23": {"training": [1, 1], "all": [1, 1]}}
    (tmp_path / "b.json").write_text("[1]")
    for name in ("b.json", "missing.json"):
        with pytest.raises(SettingsError, match=name):
            read_results(tmp_path / name)
