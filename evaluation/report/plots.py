"""The plots of a report, as SVG, each drawn on a figure of its own: no global state of pyplot is touched."""

import io
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score, roc_curve

from evaluation.metrics import Interval, Scored, reliability
from evaluation.scored_clips import Evaluation

# Of Okabe and Ito (2008): told apart by colour-blind readers too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GENUINE, FAKE, QUIET = "#009E73", "#D55E00", "#8a94a3"
PANEL = (4.1, 3.5)  # inches, width and height


def svg(figure: Figure) -> str:
    """The figure as an SVG document; the same figure gives the same bytes."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "facewarden", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, facecolor="white")
    return buffer.getvalue()


def roc(evaluations: Sequence[Evaluation], names: Sequence[str]) -> Figure:
    """ROC curves of videos and, where there are any, face crops; a dot where the threshold lies."""
    levels: list[tuple[str, Callable[[Evaluation], Scored | None]]] = [
        ("videos", lambda each: each.videos),
        ("face crops", lambda each: each.crops),
        ("frames of the videos", lambda each: each.frames),
    ]
    levels = [
        level for level in levels if any(_two_classes(level[1](evaluation)) for evaluation in evaluations)
    ]
    figure, panels = _panels(max(1, len(levels)))
    for panel, (title, of) in zip(panels, levels, strict=False):
        panel.plot([0, 1], [0, 1], color=QUIET, linewidth=0.8, linestyle=":")
        panel.axvline(0.05, color=QUIET, linewidth=0.8, linestyle="--")
        for evaluation, name, colour in zip(evaluations, names, COLOURS * 9, strict=False):
            scored = of(evaluation)
            if scored is None or not _two_classes(scored):
                continue
            fpr, tpr, _ = roc_curve(scored.fake, scored.probability)
            area = roc_auc_score(scored.fake, scored.probability)
            panel.plot(fpr, tpr, color=colour, linewidth=1.8, label=f"{name}: {area:.3f}")
            flagged = scored.probability >= evaluation.threshold
            panel.plot(flagged[~scored.fake].mean(), flagged[scored.fake].mean(), "o", color=colour)
        _label(panel, f"ROC, {title}", "false positive rate (dashes: 5%)", "recall")
        panel.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        panel.legend(loc="lower right", fontsize=7, title="AUC", title_fontsize=7, frameon=False)
    return figure


def calibration(evaluations: Sequence[Evaluation], names: Sequence[str]) -> Figure:
    """Reliability of the videos' probabilities, and how many videos each bin holds."""
    figure, panels = _panels(len(evaluations))
    for panel, evaluation, name, colour in zip(panels, evaluations, names, COLOURS * 9, strict=False):
        stated, found, counts = reliability(evaluation.videos)
        panel.plot([0, 1], [0, 1], color=QUIET, linewidth=0.8, linestyle=":")
        if counts.any():
            centres = (np.arange(len(counts)) + 0.5) / len(counts)
            share = counts / counts.sum()
            panel.bar(centres, share, width=0.09, color=QUIET, alpha=0.3, label="share of the clips")
        panel.plot(stated, found, "o-", color=colour, linewidth=1.6, label="found")
        _label(panel, f"Reliability, {name}", "stated probability of a fake", "part that is fake")
        panel.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.05))
        panel.legend(loc="upper left", fontsize=7, frameon=False)
    return figure


def scores(evaluations: Sequence[Evaluation], names: Sequence[str]) -> Figure:
    """Histograms of the videos' probabilities."""
    figure, panels = _panels(len(evaluations))
    bins = np.linspace(0, 1, 26).tolist()
    for panel, evaluation, name in zip(panels, evaluations, names, strict=False):
        scored = evaluation.videos
        for label, chosen, colour in (("genuine", ~scored.fake, GENUINE), ("fake", scored.fake, FAKE)):
            if chosen.any():
                values = scored.probability[chosen]
                weights = np.full(len(values), 1 / len(values))
                panel.hist(values, bins=bins, weights=weights, color=colour, alpha=0.6, label=label)
        panel.axvline(
            evaluation.threshold, color="black", linewidth=1, label=f"flagged from {evaluation.threshold:.3f}"
        )
        _label(panel, f"Scores, {name}", "calibrated video score", "share of the class")
        panel.legend(loc="upper center", fontsize=7, frameon=False)
    return figure


def confusion(evaluations: Sequence[Evaluation], names: Sequence[str]) -> Figure:
    """Confusion matrices of the videos at the threshold."""
    figure, panels = _panels(len(evaluations), height=3.0)
    for panel, evaluation, name in zip(panels, evaluations, names, strict=False):
        scored = evaluation.videos
        flagged = scored.probability >= evaluation.threshold
        matrix = np.array(
            [
                [int(((scored.fake == fake) & (flagged == flag)).sum()) for flag in (False, True)]
                for fake in (False, True)
            ]
        )
        shares = matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))
        panel.imshow(shares, cmap="Blues", vmin=0, vmax=1.2)
        for (row, column), count in np.ndenumerate(matrix):
            share = shares[row, column]
            text = f"{count}\n{share:.0%}"
            panel.text(column, row, text, ha="center", va="center", color="white" if share > 0.6 else "black")
        panel.set_xticks([0, 1], ["clear", "flagged"])
        panel.set_yticks([0, 1], ["genuine", "fake"])
        _label(panel, f"Videos, {name}", "verdict", "truth")
        panel.grid(visible=False)
    return figure


def intervals(
    evaluations: Sequence[Evaluation], names: Sequence[str], parts: Sequence[tuple[str, str, str]]
) -> Figure:
    """Metrics by the rows of tables, with their intervals.

    Args:
        parts: table, metric and title of each panel.
    """
    parts = [part for part in parts if any(part[0] in each.tables for each in evaluations)]
    longest = max(
        (len(each.tables[t].rows) for each in evaluations for t, *_ in parts if t in each.tables), default=1
    )
    figure, panels = _panels(max(1, len(parts)), height=1.2 + 0.16 * longest * (1 + len(evaluations)))
    for panel, (table, metric, title) in zip(panels, parts, strict=False):
        labels = list(
            dict.fromkeys(
                row.name for each in evaluations if table in each.tables for row in each.tables[table].rows
            )
        )
        step = 0.7 / len(evaluations)
        for number, (evaluation, name, colour) in enumerate(
            zip(evaluations, names, COLOURS * 9, strict=False)
        ):
            offset = (number - (len(evaluations) - 1) / 2) * step
            rows = evaluation.tables[table].rows if table in evaluation.tables else []
            known = [(labels.index(row.name) + offset, row.metrics[metric]) for row in rows]
            _dots(panel, [(y, each) for y, each in known if each.value is not None], colour, name)
        panel.set_yticks(range(len(labels)), labels)
        panel.set_ylim(len(labels) - 0.4, -0.6)
        panel.set_xlim(-0.02, 1.02)
        _label(panel, title, "with 95% interval", "")
    if len(evaluations) > 1:
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=3, fontsize=8, frameon=False)
    return figure


def _dots(panel: Any, known: Sequence[tuple[float, Interval]], colour: str, name: str) -> None:
    panel.plot(
        [each.value for _, each in known],
        [y for y, _ in known],
        "o",
        color=colour,
        label=name,
        markersize=4.5,
    )
    for y, each in known:
        if each.low is not None and each.high is not None:
            panel.plot([each.low, each.high], [y, y], color=colour, linewidth=1.4)


def _panels(count: int, *, height: float = PANEL[1]) -> tuple[Figure, list[Any]]:
    figure = Figure(figsize=(PANEL[0] * count, height), layout="constrained")
    return figure, list(np.ravel(figure.subplots(1, count, squeeze=False)))


def _label(panel: Any, title: str, x: str, y: str) -> None:
    panel.set_title(title, fontsize=9, loc="left", fontweight="bold")
    panel.set_xlabel(x, fontsize=8)
    panel.set_ylabel(y, fontsize=8)
    panel.tick_params(labelsize=8)
    panel.grid(visible=True, linewidth=0.4, alpha=0.5)
    panel.set_axisbelow(True)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)


def _two_classes(scored: Scored | None) -> bool:
    return scored is not None and bool(scored.fake.any()) and not bool(scored.fake.all())
