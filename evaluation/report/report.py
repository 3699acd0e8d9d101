"""A report of one checkpoint, or of several side by side: one HTML file, the same in Markdown, and JSON."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from matplotlib.figure import Figure

from evaluation.metrics import LOWER_IS_BETTER, METRICS
from evaluation.report import plots
from evaluation.report.results import write_results
from evaluation.scored_clips import TABLES, Evaluation

WORDS = {
    "auc": "AUC",
    "average_precision": "average precision",
    "eer": "equal error rate",
    "recall_at_1_fpr": "recall at 1% false positives",
    "recall_at_5_fpr": "recall at 5% false positives",
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "mcc": "Matthews correlation",
    "false_positive_rate": "false positive rate",
    "log_loss": "log loss",
    "brier": "Brier score",
    "ece": "expected calibration error",
}
# Columns of the tables by kind, source and condition: all metrics are in the JSON.
COLUMNS = ("auc", "recall_at_5_fpr", "recall", "false_positive_rate")
MAIN_CHECKS = ("auc", "recall_at_5_fpr", "false_positive_rate", "ece")  # on the card of each checkpoint


def write_report(
    folder: Path, evaluations: Sequence[Evaluation], results: Sequence[Mapping[str, Any]]
) -> Path:
    """Write report.html (nothing beside it is needed), report.md with plots/, and results.json.

    Args:
        evaluations, results: one of each per checkpoint, in the same order.

    Returns the path of report.html.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plots").mkdir(exist_ok=True)
    names = short_names(evaluations)
    drawn = {name: plots.svg(figure) for name, figure in _figures(evaluations, names).items()}
    for name, content in drawn.items():
        (folder / "plots" / f"{name}.svg").write_text(content, encoding="utf-8")
    facts = {
        "names": names,
        "results": results,
        "evaluations": evaluations,
        "titles": TABLES,
        "words": WORDS,
        "metrics": METRICS,
        "columns": COLUMNS,
        "checks": MAIN_CHECKS,
        "best": _best(evaluations),
        "row": _find_row,
        "number": number,
        "interval": interval,
    }
    pictures = {
        name: "data:image/svg+xml;base64," + base64.b64encode(content.encode()).decode()
        for name, content in drawn.items()
    }
    page = folder / "report.html"
    page.write_text(_template("report.html.jinja").render(facts, plots=pictures), encoding="utf-8")
    files = {name: f"plots/{name}.svg" for name in drawn}
    text = _template("report.md.jinja").render(facts, plots=files)
    (folder / "report.md").write_text(text, encoding="utf-8")
    write_results(folder / "results.json", list(results))
    return page


def short_names(evaluations: Sequence[Evaluation]) -> list[str]:
    """A name for each checkpoint that fits a legend: architecture, size and what tells them apart."""
    return [
        f"{each.version.id[: len(each.version.architecture) + 7]} {each.version.input_size}px"
        for each in evaluations
    ]


def _template(name: str) -> Any:
    environment = Environment(
        loader=PackageLoader("evaluation.report", "templates"),
        autoescape=select_autoescape(["html.jinja"]),  # Markdown is no HTML
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name)


def _figures(evaluations: Sequence[Evaluation], names: Sequence[str]) -> dict[str, Figure]:
    figures = {
        "roc": plots.roc(evaluations, names),
        "scores": plots.scores(evaluations, names),
        "reliability": plots.calibration(evaluations, names),
        "confusion": plots.confusion(evaluations, names),
        "kinds": plots.intervals(
            evaluations,
            names,
            (("kinds", "auc", "AUC by kind, videos"), ("crops", "auc", "AUC by kind, face crops")),
        ),
    }
    if any("robustness" in each.tables for each in evaluations):
        figures["robustness"] = plots.intervals(
            evaluations,
            names,
            (
                ("robustness", "auc", "AUC by condition"),
                ("robustness", "recall", "Recall at the threshold"),
                ("robustness", "false_positive_rate", "False positives at the threshold"),
            ),
        )
    return figures


def _find_row(evaluation: Evaluation, table: str, name: str) -> Any:
    rows = evaluation.tables[table].rows if table in evaluation.tables else []
    return next((row for row in rows if row.name == name), None)


def _best(evaluations: Sequence[Evaluation]) -> dict[tuple[str, str], float]:
    """The best value of each metric in each row of the pooled table, where there is a contest."""
    best: dict[tuple[str, str], float] = {}
    if len(evaluations) < 2:
        return best
    for evaluation in evaluations:
        for row in evaluation.tables["pooled"].rows if "pooled" in evaluation.tables else []:
            for metric, each in row.metrics.items():
                if each.value is not None:
                    key = (row.name, metric)
                    choose = min if metric in LOWER_IS_BETTER else max
                    best[key] = choose(best.get(key, each.value), each.value)
    return best


def number(value: float | None) -> str:
    """Three digits, or a dash for what is undefined."""
    return "-" if value is None else f"{value:.3f}"


def interval(low: float | None, high: float | None) -> str:
    """The interval in words, or nothing."""
    return "" if low is None or high is None else f"{low:.3f} to {high:.3f}"
