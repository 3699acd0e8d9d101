"""`facewarden evaluate --explanations`: the table of how far explanations hold, and the numbers behind it."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import SettingsError
from core.settings import Settings
from evaluation.explanations.fakes import flagged_fakes
from evaluation.explanations.measure import RANDOM, Measured, measured
from models.whole_file import whole
from worker.screening.loading import load_pipeline

PACKAGE_EVERY = 10  # of so many fakes one is also explained by the package's defaults: it costs 1000 samples
RESAMPLES = 2000  # of fakes, for the intervals
Progress = Callable[[int, str], None]  # told how many fakes are explained, and the name of the last


@dataclass(frozen=True, kw_only=True)
class ExplanationsConfig:
    labelled: Path  # folder of labelled media
    out: Path  # folder of the report
    split: str  # of the labelled media, or "all"
    fakes: int  # flagged ones to explain, at most
    seeds: int  # of LIME in use, for the agreement
    seed: int  # draws the fakes
    command: str = ""  # that started it, for the record


def run_explanations(
    settings: Settings, checkpoint: Path, config: ExplanationsConfig, progress: Progress
) -> Path:
    """Explain flagged fakes, write explanations.json after each and explanations.md; returns the latter.

    Raises SettingsError where no fake is flagged.
    """
    began = time.monotonic()
    pipeline = load_pipeline(settings.model_copy(update={"weights": checkpoint}))
    classifier = pipeline.classifier
    config.out.mkdir(parents=True, exist_ok=True)
    rows: list[Measured] = []
    fakes = flagged_fakes(pipeline, config.labelled, split=config.split, most=config.fakes, seed=config.seed)
    for number, fake in enumerate(fakes):
        package = number % PACKAGE_EVERY == 0
        rows += measured(fake, classifier, settings.lime, seeds=config.seeds, package=package)
        values = {
            "checkpoint": classifier.version.id,
            "command": config.command,
            "seconds": round(time.monotonic() - began),
            "lime": settings.lime.model_dump(),
            "seeds": config.seeds,
            "summary": summary(rows),
            "rows": [asdict(row) for row in rows],
        }
        _write(config.out / "explanations.json", json.dumps(values, indent=1))
        _write(config.out / "explanations.md", as_markdown(values))
        progress(number + 1, fake.name)
    if not rows:
        raise SettingsError(
            setting="--labelled", reason="no fake of it is flagged, so there is none to explain"
        )
    return config.out / "explanations.md"


def summary(rows: Sequence[Measured]) -> list[dict[str, Any]]:
    """A row for each way, in the order in which they were measured first.

    `better_than_random`: part of the fakes whose deletion is below that of the random order of the parts.
    The intervals (95%) resample fakes.
    """
    at_random = {row.name: row.deletion for row in rows if row.way == RANDOM}
    made = []
    for way in dict.fromkeys(row.way for row in rows):
        own = [row for row in rows if row.way == way]
        r2, samples, expected, agreement = (
            [value for row in own if (value := getattr(row, name)) is not None]
            for name in ("r2", "samples", "expected", "agreement")
        )
        made.append(
            {
                "way": way,
                "fakes": len(own),
                "samples": float(np.median(samples)) if samples else None,
                "r2": float(np.median(r2)) if r2 else None,
                "agreement": float(np.mean(agreement)) if agreement else None,
                "expected": float(np.mean(expected)) if expected else None,
                "deletion": _mean([row.deletion for row in own]),
                "insertion": _mean([row.insertion for row in own]),
                "better_than_random": float(np.mean([row.deletion < at_random[row.name] for row in own])),
            }
        )
    return made


def _mean(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and 95% interval."""
    numbers = np.asarray(values)
    drawn = np.random.default_rng(0).integers(0, len(numbers), (RESAMPLES, len(numbers)))
    low, high = np.quantile(numbers[drawn].mean(axis=1), (0.025, 0.975))
    return float(numbers.mean()), float(low), float(high)


def as_markdown(values: dict[str, Any]) -> str:
    """The table."""
    lines = [
        f"# Explanations of {values['checkpoint']}",
        "",
        "| way | fakes | samples, median | R², median | seeds agree | as expected by the fit "
        "| deletion | insertion | deletion better than at random |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in values["summary"]:
        cells = [
            row["way"],
            str(row["fakes"]),
            "-" if row["samples"] is None else f"{row['samples']:.0f}",
            *("-" if row[name] is None else f"{row[name]:.2f}" for name in ("r2", "agreement", "expected")),
            *("{:.2f} ({:.2f} to {:.2f})".format(*row[name]) for name in ("deletion", "insertion")),
            f"{row['better_than_random']:.0%}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _write(path: Path, text: str) -> None:
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")
