"""Whether neighbouring frames betray what single frames do not: an experiment on whole clips.

    facewarden hold-out ...        as in docs/model-card.md: what the checkpoint in use did not learn from
    python -m bench.bursts --data FOLDER --held-out build/sides.jsonl [--out build/bursts.json]

FOLDER is FACEWARDEN_DATA: whole clips in `manipulated/` and genuine ones in `videos/`. At a few places of
each clip, bursts of neighbouring frames are looked at, and as many frames spread evenly over it. A small head
that sees the worker's own score and the changes within the bursts is compared with the score alone, and with
the same head over the spread frames: what these give as well is a matter of more frames, not of neighbours.
What was recorded of a clip is kept in --cache, so a run that was stopped goes on where it ended.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog
from rich.table import Table

from bench import bench_console
from bench.bursts.clips import Clip, list_clips
from bench.bursts.comparison import Measured, compare
from bench.bursts.features import FEATURES, features
from bench.bursts.recording import Recorder, Recording
from core.errors import InputError
from core.logs import configure
from core.settings import Settings
from evaluation.screening import pipeline_of
from worker.screening.loading import load_detector

log = structlog.get_logger()

PLACES, FRAMES = 4, 5  # bursts of a clip, frames of a burst
RESAMPLES = 2000


def main(arguments: Sequence[str] | None = None) -> None:
    given = _arguments(arguments)
    settings = Settings(home=Path("build/bench"), device="cpu", log_level="warning", _env_file=None)
    if given.weights is not None:
        settings = settings.model_copy(update={"weights": given.weights})
    configure(settings)
    clips = list_clips(given.data, given.held_out)
    detector = load_detector(settings)
    pipeline = pipeline_of(settings, settings.weights, detector)
    recorder = Recorder(settings, pipeline, detector, cache=given.cache)
    known, left_out = [], {}
    for number, clip in enumerate(clips, 1):
        measured = _measure(clip, recorder, settings, places=given.places, frames=given.frames)
        if isinstance(measured, Measured):
            known.append(measured)
        else:
            left_out[clip.name] = measured
        print(f"{number} of {len(clips)}: {clip.name}", flush=True)
    report = {
        "model": pipeline.classifier.version.id,
        "places": given.places,
        "frames of a burst": given.frames,
        "resamples": given.resamples,
        "left out": left_out,
        "sets": compare(known, resamples=given.resamples),
        "clips": [_row(each) for each in known],
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(report, indent=1) + "\n")
    _print(report)
    print(f"bench: done, written to {given.out}")


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.bursts", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="with manipulated/ and videos/")
    parser.add_argument("--held-out", type=Path, required=True, help="manifest of `facewarden hold-out`")
    parser.add_argument("--out", type=Path, default=Path("build/bursts.json"))
    parser.add_argument("--cache", type=Path, default=Path("build/bursts"), help="what was recorded, by clip")
    parser.add_argument("--weights", type=Path, help="a checkpoint; by default that in use")
    parser.add_argument("--places", type=int, default=PLACES, help="bursts of a clip")
    parser.add_argument("--frames", type=int, default=FRAMES, help="frames of a burst")
    parser.add_argument("--resamples", type=int, default=RESAMPLES, help="for the 95%% intervals")
    return parser.parse_args(arguments)


def _measure(
    clip: Clip, recorder: Recorder, settings: Settings, *, places: int, frames: int
) -> Measured | str:
    """The clip's numbers, or why it has none."""
    try:
        recording = recorder.record(clip.path, places=places, frames=frames)
    except InputError as error:
        return str(error)
    return measured_of(clip, recording, settings)


def measured_of(clip: Clip, recording: Recording, settings: Settings) -> Measured | str:
    if recording.score is None:
        return "the worker gives it no score"
    bursts, spread = (features(each, settings.scoring) for each in (recording.bursts, recording.spread))
    if bursts is None or spread is None:
        return "too few places where the face is usable in frames one after another"
    return Measured(clip=clip, score=recording.score, bursts=bursts, spread=spread)


def _row(measured: Measured) -> dict[str, Any]:
    clip = measured.clip
    return {
        "name": clip.name,
        "method": clip.method,
        "people": clip.people,
        "trained on": clip.trained_on,
        "score": round(measured.score, 4),
        "bursts": dict(zip(FEATURES, measured.bursts.round(4).tolist(), strict=True)),
        "spread": dict(zip(FEATURES, measured.spread.round(4).tolist(), strict=True)),
    }


def _print(report: dict[str, Any]) -> None:
    console = bench_console()
    sets = report["sets"]
    table = Table(title="AUC on methods and people that the heads were not fitted on")
    table.add_column("")
    for name in sets:
        table.add_column(name, justify="right")
    first = next(iter(sets.values()))
    table.add_row("fake / genuine clips", *(f"{each['fake']} / {each['genuine']}" for each in sets.values()))
    for way in first["AUC"]:
        table.add_row(way, *(f"{each['AUC'][way]:.3f}" for each in sets.values()))
    for name in first["gain"]:
        table.add_row(f"gain: {name}", *(_with_interval(each["gain"][name]) for each in sets.values()))
    console.print(table)
    for name, each in sets.items():
        console.print(f"{name}: bursts {'add' if adds(each) else 'do not add'}")
    for name, reason in report["left out"].items():
        console.print(f"left out: {name}: {reason}")


def adds(found: dict[str, Any]) -> bool:
    """Whether the intervals of both gains lie above zero."""
    return all(gain["low"] > 0 for gain in found["gain"].values())


def _with_interval(gain: dict[str, float]) -> str:
    return f"{gain['value']:+.3f} ({gain['low']:+.3f} to {gain['high']:+.3f})"


if __name__ == "__main__":
    main()
