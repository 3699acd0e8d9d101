"""The generated parts of the model card: everything in it that is a number or a command.

A part stands between `<!-- generated: NAME -->` and `<!-- end: NAME -->`; what is around it is written by
people. The parts come from the results beside the weights (evaluation.report.results) and nothing else.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import SettingsError
from core.model_version import UNTRAINED_LABEL
from evaluation.report.lineage import runs, train_commands
from evaluation.report.report import WORDS
from evaluation.report.results import read_results
from models.synthesis.kinds import TRAINED_KINDS

Results = Mapping[str, Any]

SOURCES = {
    "photo": (
        "photographs, colour (public GitHub sets, MIT; their pictures come from image search)",
        "the pictures' owners': research and training only",
    ),
    "gray_photo": (
        "photographs, gray and soft (Labeled Faces in the Wild and similar; a public set, Apache-2.0)",
        "research and training only",
    ),
}
VIDEO_RIGHTS = "as their projects say (MIT, Apache-2.0 example material)"
BACKBONE_RIGHTS = "an ImageNet backbone (Keras Applications, from a package without a licence): unclear"

# Whether the persons and videos of the tables set the calibration and the thresholds.
APART = {
    True: "Nobody in these tables set the calibration or the thresholds.",
    False: "**Some of these set the calibration: what depends on the threshold flatters.**",
    None: "Who set the calibration is not on record: what depends on the threshold may flatter.",
}

POOLED = ("auc", "average_precision", "eer", "recall_at_1_fpr", "recall_at_5_fpr", "accuracy", "precision")
POOLED_REST = ("recall", "f1", "mcc", "false_positive_rate", "log_loss", "brier", "ece")


def renew(results: Path, card: Path, *, check: bool) -> bool:
    """Renew the card, or with `check` only compare; False where a checked card would change.

    Raises SettingsError where results or card are missing, or the card lacks a part.
    """
    try:
        before = card.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(setting=str(card), reason=error.strerror or "cannot be read") from error
    after = renewed(before, read_results(results))
    if check:
        return after == before
    card.write_text(after, encoding="utf-8")
    return True


def renewed(card: str, results: Results) -> str:
    """The card with every generated part made anew.

    Raises SettingsError where a part's markers are missing or open, or name no part.
    """
    for name in re.findall(r"<!-- generated: (\w+) -->", card):
        if name not in PARTS:
            raise SettingsError(setting=f"generated: {name}", reason=f"the parts are {', '.join(PARTS)}")
    for name, part in PARTS.items():
        start, end = f"<!-- generated: {name} -->\n", f"<!-- end: {name} -->"
        if card.count(start) != 1 or card.count(end) != 1 or card.index(end) < card.index(start):
            reason = "the card needs `<!-- generated: ... -->` and `<!-- end: ... -->` of this name, once"
            raise SettingsError(setting=f"generated: {name}", reason=reason)
        before, after = card[: card.index(start)], card[card.index(end) :]
        card = before + start + "\n" + part(results).strip("\n") + "\n\n" + after
    return card


def _identity(results: Results) -> str:
    checkpoint = results["checkpoint"]
    head = f", head `{checkpoint['head']}`" if checkpoint.get("head", "default") != "default" else ""
    calibration = checkpoint["calibration"]
    lines = [
        f"`{checkpoint['id']}`, label `{checkpoint['label']}`: `{checkpoint['architecture']}`{head}, "
        f"{checkpoint['input_size']} x {checkpoint['input_size']} px crops with a margin of "
        f"{checkpoint['margin']} around the MTCNN box.",
        "",
        f"SHA-256 `{checkpoint['weights_sha256']}`.",
        "",
        f"Flagged (`suspect`) from a calibrated video score of {checkpoint['suspect_threshold']}, "
        f"`fake` from {checkpoint['fake_threshold']}. Calibration: {calibration['method']}, "
        f"fitted on {calibration['fitted_on'] or 'nothing'}.",
    ]
    if checkpoint["label"] == UNTRAINED_LABEL:
        lines = ["**A checkpoint of a short run: its scores are no evidence.**", "", *lines]
    return "\n".join(lines)


def _data(results: Results) -> str:
    data = results["circumstances"]["data"]
    if not data:
        return "These results were measured on labelled media, not on the held-out side of the training data."
    lines = [
        "| source | genuine faces | persons | held out: calibration, evaluation | rights |",
        "|---|---|---|---|---|",
    ]
    for name, counts in data["photographs"].items():
        text, rights = SOURCES[name]
        lines.append(
            f"| {text} | {counts['faces']:,} | {_persons(name, counts)} | "
            f"{counts['calibration']:,}, {counts['evaluation']:,} | {rights} |"
        )
    videos = data["videos"]
    total = sum(len(names) for names in videos.values())
    lines.append(
        f"| genuine videos | frames of {len(videos['training'])} of {total} videos | | "
        f"{len(videos['calibration'])}, {len(videos['evaluation'])} videos | {VIDEO_RIGHTS} |"
    )
    if results["checkpoint"]["training"].get("config", {}).get("init"):
        lines.append(f"| start weights | | | | {BACKBONE_RIGHTS} |")
    return "\n".join(
        [
            *lines,
            "",
            f"{_fakes(results)} (`models/synthesis/kinds.py`). Trained kinds: "
            f"{_listed(data['trained_kinds'])}. Kinds held out from training: "
            f"{_listed(data['held_out_kinds'])}. Videos held out: {_listed(videos['calibration'])} "
            f"(calibration) and {_listed(videos['evaluation'])} (evaluation).",
            "",
            "The persons of the demo's photographs, Eileen Collins (scikit-image's astronaut) and Grace "
            "Hopper (matplotlib's sample), are in none of these sources: neither was ever trained on.",
        ]
    )


def _fakes(results: Results) -> str:
    real = [run for run in runs(results["checkpoint"]["training"]) if run["config"].get("preset") == "gpu"]
    if real:
        return "These are the genuine faces of the pseudo-fakes that this repository makes"
    return "Genuine material only; every fake was made by this repository"


def _persons(source: str, counts: Mapping[str, int]) -> str:
    return f"{counts['persons']:,}" if source == "gray_photo" else "unknown: each photograph counts as one"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def _training(results: Results) -> str:
    training = results["checkpoint"]["training"]
    if not runs(training):
        return "The checkpoint carries no record of its training."
    every = runs(training)
    columns = [_facts(run) for run in every]
    names = [f"run {number}" for number in range(1, len(every) + 1)] if len(every) > 1 else [""]
    lines = ["| | " + " | ".join(names) + " |", "|---|" + "---|" * len(columns)]
    rows = dict.fromkeys(name for facts in columns for name in facts)
    lines += [
        f"| {name} | " + " | ".join(str(facts.get(name, "-")) for facts in columns) + " |" for name in rows
    ]
    validation = ", ".join(f"{name} {value}" for name, value in training.get("validation", {}).items())
    return "\n".join([*lines, "", f"Last validation: {validation or 'none'}."])


def _facts(training: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of one run, by name."""
    config = training["config"]
    started_from = (training.get("started_from") or {}).get("id") or config.get("init")
    return {
        "pictures seen": f"{training['pictures']:,}",
        "time": f"{training['seconds'] / 60:.0f} minutes",
        "processes": training.get("processes", 1),
        "preset": config.get("preset", "default"),
        "steps": f"{config['steps']:,}",
        "start": f"`{started_from}`" if started_from else "random weights",
        "sizes": _sizes(config),
        "device": config["device"],
        "learning rate, weight decay": f"{config['learning_rate']}, {config['weight_decay']}",
        "label smoothing, EMA": f"{config['label_smoothing']}, {config['ema_decay']}",
        "weight of the loss for where": config.get("localisation", 0.0),
        "kinds": _listed(config.get("kinds") or TRAINED_KINDS),
        "seed": config["seed"],
    }


def _sizes(config: Mapping[str, Any]) -> str:
    steps = config.get("sizes") or []
    if steps:
        return ", ".join(f"{pixels} px from {part:.0%}" for part, pixels in steps)
    return f"{config['start_size']} px, {config['input_size']} px from {config['grow_at']:.0%} of the run"


def _commands(results: Results) -> str:
    training = results["checkpoint"]["training"]
    commands = train_commands(training)
    if training.get("calibration"):
        commands.append(training["calibration"]["command"])
    if training.get("looks"):
        commands.append(training["looks"]["command"])
    if results.get("real"):
        commands.append(results["real"]["circumstances"]["command"])
    commands.append(results["circumstances"]["command"])
    commands.append("facewarden model-card")
    return "\n".join(["```sh", *commands, "```"])


def _results(results: Results) -> str:
    titles = {
        "kinds": "By kind of forgery, whole clips",
        "frames": "By kind of forgery, frames of these clips (H.264, crf 23 and 32)",
        "crops": "By kind of forgery, single compressed face crops",
        "sources": "By source",
        "compression": "By compression",
        "robustness": "The same clips under other conditions",
    }
    lines = _measured(results, titles, over="persons and videos")
    if results.get("measured_as"):
        same = "the same network and calibration; only looks, families or the threshold of `fake` are newer"
        lines = [f"Measured as `{results['measured_as']}`: {same}.", "", *lines]
    return "\n".join(lines)


def _real(results: Results) -> str:
    real = results.get("real")
    if not real:
        return "Not measured: `facewarden evaluate --labelled FOLDER --results xception.real.json`."
    titles = {
        "families": "By family, beside every genuine medium",
        "kinds": "By method, beside every genuine medium",
        "same_source": "By source, beside the genuine media of the same source",
    }
    lines = _measured(real, titles, over="groups")
    genuine = [row for row in real["tables"].get("sources", []) if row["genuine"]]
    lines += ["", "**Genuine media flagged, by source**", "", "| source | flagged |", "|---|---|"]
    lines += [f"| {row['name']} | {row['genuine_flagged']} of {row['genuine']} |" for row in genuine]
    return "\n".join(lines)


def _families(results: Results) -> str:
    """What the shipped checkpoint says of the family of real fakes, all of them and the flagged ones."""
    real = results.get("real") or {}
    families = real.get("families")
    if not families:
        return "Not measured: the checkpoint names no family, or no real manipulations were evaluated."
    calibration = real["checkpoint"]["calibration"]["families"]
    lines = [
        f"Named from a probability of {calibration['least']:.2f}; the head's logits are divided by "
        f"{calibration['temperature']:.2f}. Fitted on {calibration['fitted_on']}.",
        "",
        "| | all fakes | those flagged, which are what a reviewer sees |",
        "|---|---|---|",
    ]
    parts = [families["all"], families["flagged"]]
    rows: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "fakes": lambda part: str(part["fakes"]),
        "named": lambda part: _share(part["named"], part["fakes"]),
        "right among those named": lambda part: _share(part["right"], part["named"]),
        "not named": lambda part: _share(part["fakes"] - part["named"], part["fakes"]),
        "likeliest family right, named or not": lambda part: _share(part["likeliest_right"], part["fakes"]),
        "expected calibration error": lambda part: _number(part["ece"]),
        "expected calibration error of those named": lambda part: _number(part["ece_named"]),
    }
    lines += [f"| {name} | {' | '.join(map(cell, parts))} |" for name, cell in rows.items()]
    for title, part in zip(("All fakes", "Flagged fakes"), parts, strict=True):
        names = families["families"]
        lines += ["", f"**{title}, by true family (rows) and named family**", ""]
        lines += ["| | " + " | ".join(names) + " | not named |", "|---" * (len(names) + 2) + "|"]
        lines += [f"| {name} | {' | '.join(map(str, row))} |" for name, row in part["confusion"].items()]
    lines += ["", "**Flagged fakes, by method**", "", "| | fakes | named | right |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {' | '.join(map(str, row))} |" for name, row in families["flagged"]["methods"].items()
    ]
    return "\n".join(lines)


def _share(count: int, total: int) -> str:
    return f"{count} of {total} ({count / total:.1%})" if total else "-"


def _measured(results: Results, titles: Mapping[str, str], *, over: str) -> list[str]:
    """How it was measured, everything pooled, and the tables that have a title. `over`: what is resampled."""
    tables, how = results["tables"], results["circumstances"]
    lines = [
        f"At the one threshold of {results['threshold']}; in brackets the 95% bootstrap interval over "
        f"{over} ({how['resamples']} resamples). Measured in {how['seconds'] / 60:.0f} minutes "
        f"on {how['machine']}. {APART[results.get('calibrated_apart')]}",
        "",
        *_pooled(tables.get("pooled", [])),
    ]
    for name, title in titles.items():
        if name in tables:
            lines += ["", f"**{title}**", "", *_parts(tables[name], results)]
    return lines


def _pooled(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    head = "| metric | " + " | ".join(row["name"] for row in rows) + " |"
    lines = [head, "|---|" + "---|" * len(rows)]
    counts = " | ".join(f"{row['genuine']} / {row['fake']} ({row['groups']})" for row in rows)
    lines.append(f"| genuine / fake (persons and videos) | {counts} |")
    for metric in (*POOLED, *POOLED_REST):
        values = " | ".join(_with_interval(row["metrics"][metric]) for row in rows)
        lines.append(f"| {WORDS[metric]} | {values} |")
    return lines


def _parts(rows: Sequence[Mapping[str, Any]], results: Results) -> list[str]:
    data = results["circumstances"]["data"] or {}
    unseen = data.get("held_out_kinds", [])
    lines = ["| | AUC | recall at 5% FPR | fakes flagged | genuine flagged |", "|---|---|---|---|---|"]
    for row in rows:
        mark = " (held out)" if row["name"] in unseen else ""
        metrics = row["metrics"]
        lines.append(
            f"| {row['name']}{mark} | {_with_interval(metrics['auc'])} | "
            f"{_number(metrics['recall_at_5_fpr'][0])} | {row['fake_flagged']} of {row['fake']} | "
            f"{row['genuine_flagged']} of {row['genuine']} |"
        )
    return lines


def _false_positives(results: Results) -> str:
    lines = ["| compression | all | evaluation | calibration | trained on |", "|---|---|---|---|---|"]
    for condition, sides in results["genuine_flagged"].items():
        cells = [
            f"{sides[side][0]} of {sides[side][1]}" if side in sides else "-"
            for side in ("all", "evaluation", "calibration", "training")
        ]
        lines.append(f"| {condition} | {' | '.join(cells)} |")
    flagged = [
        f"`{each['video']}` ({each['condition']}, {each['score']})"
        for each in results["genuine_videos"]
        if each["flagged"]
    ]
    return "\n".join([*lines, "", f"Flagged: {', '.join(flagged) or 'none'}."])


def _backends(results: Results) -> str:
    if not results["backends"]:
        return "Not compared in these results (`facewarden evaluate --backends`)."
    lines = [
        "| backend | AUC | difference to fp32 | largest difference of a score | ms a crop | |",
        "|---|---|---|---|---|---|",
    ]
    for each in results["backends"]:
        lines.append(
            f"| {each['backend']} | {_number(each['auc'])} | {_number(each['auc_difference'], 4)} | "
            f"{_number(each['largest_difference'], 4)} | {each['milliseconds']:.0f} | "
            f"{_agreement(each)} |"
        )
    return "\n".join(lines)


def _agreement(compared: Mapping[str, Any]) -> str:
    words = ["agrees" if compared["agrees"] else "differs"] if compared["auc"] is not None else []
    return "; ".join([*words, *filter(None, [compared["note"]])])


def _with_interval(values: Sequence[float | None]) -> str:
    value, low, high = values
    if low is None or high is None:
        return _number(value)
    return f"{_number(value)} ({low:.3f} to {high:.3f})"


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _many_looks(results: Results) -> str:
    checkpoint = results["checkpoint"]
    looks, training = checkpoint["calibration"].get("looks") or {}, checkpoint["training"]
    if not looks.get("spread"):
        return "Not fitted (`facewarden calibrate`)."
    lines = [
        f"Genuine stretches lie around a logit of {looks['centre']:.2f}, spread by {looks['spread']:.2f}; "
        f"w stretches of one face count as w^{looks['repeat']:.2f} looks, and n looks are taken as "
        f"n^{looks['caution']:.2f}. Fitted on {looks['fitted_on']}.",
    ]
    record = training.get("looks") or training.get("calibration") or {}
    for whose, growth in (
        ("the persons and videos it was fitted on", record.get("growth")),
        ("the persons and videos of the evaluation", results.get("growth")),
    ):
        if growth:
            lines += ["", f"**Drawn from {whose}**", "", *_growth(growth)]
    return "\n".join(lines)


def _growth(growth: Mapping[str, Any]) -> list[str]:
    lines = [
        "| faces | genuine videos flagged: before | after | with one fake face, flagged: before | after |",
        "|---|---|---|---|---|",
    ]
    for row in growth["faces"]:
        cells = [_percent(each) for each in (*row["genuine"], *(row["one_fake"] or [None, None]))]
        lines.append(f"| {row['faces']} | {' | '.join(cells)} |")
    lines += ["", "| minutes of one genuine face | flagged: before | after |", "|---|---|---|"]
    for row in growth["minutes"]:
        lines.append(f"| {row['minutes']} | {' | '.join(map(_percent, row['genuine']))} |")
    return lines


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


PARTS: dict[str, Callable[[Results], str]] = {
    "identity": _identity,
    "data": _data,
    "training": _training,
    "commands": _commands,
    "real": _real,
    "families": _families,
    "results": _results,
    "false_positives": _false_positives,
    "many_looks": _many_looks,
    "backends": _backends,
}
