"""`facewarden screen`: the worker's pipeline, in this process."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cli.tables import coloured, note, percent, printed_label, verdict_table
from core import gate
from core.errors import FacewardenError, printable
from core.known import FrameHash
from core.media_signatures import HEAD_BYTES
from core.model_version import ModelVersion
from core.outcomes import Verdict
from core.provenance import told
from core.results import FaceResult
from core.settings import Settings
from ingest.bucket import named_files, text_name
from worker.explaining import decode_crop, explain_crop, landmarks_in_crop
from worker.screening.loading import load_pipeline
from worker.screening.pipeline import Pipeline
from worker.screening.screened import Screened


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How many files ended how."""

    failed: int  # could not be screened
    flagged: int
    unjudged: int


def screen_files(settings: Settings, paths: list[Path], *, as_json: bool, overlays: Path | None) -> Tally:
    """Screen the files.

    Raises WeightsError or SettingsError if nothing at all can be screened.
    """
    pipeline = load_pipeline(settings)
    rows = []
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        for path, file, root in named_files(paths, settings.ingest.left_alone_names):
            task = bar.add_task(printable(path.name), total=None)
            row = screen_one(
                pipeline,
                path,
                overlays,
                lambda done, total, task=task: bar.update(task, completed=done, total=total),
                found=(file, root),
            )
            bar.remove_task(task)
            rows.append(row)
            if as_json:
                print(json.dumps(row), flush=True)  # noqa: T201  stdout is this command's output
    if not as_json:
        _print_table(rows, pipeline.classifier.version)
    verdicts = [Verdict(row["verdict"]) for row in rows if row["error"] is None]
    return Tally(
        failed=len(rows) - len(verdicts),
        flagged=sum(verdict.flagged for verdict in verdicts),
        unjudged=verdicts.count(Verdict.UNJUDGED),
    )


def screen_one(
    pipeline: Pipeline,
    path: Path,
    overlays: Path | None,
    progress: Any = None,
    *,
    found: tuple[Path, Path] | None = None,
) -> dict[str, Any]:
    """Screen one file into the object that `--json` prints, including its error, if any.

    `path` is what the user typed; `found` is where the file really is and the folder in which it was found,
    below which links are not followed.
    """
    version = pipeline.classifier.version
    row: dict[str, Any] = {
        "path": str(path),
        "sha256": None,
        "verdict": None,
        "score": None,
        "family": None,
        "family_probability": None,
        "coverage": None,
        "partial": False,  # coverage is below 1
        "unseen": [],
        "rejected_faces": {},
        "longest_unseen_seconds": None,
        "looks": None,
        "turn": 0,
        "provenance": None,
        "model_version": version.id,
        "model_label": version.label,
        "hashes": [],
        "tracks": [],
        "flagged_frames": [],
        "timings_seconds": {},
        "error": None,
    }
    try:
        name, real = text_name(path), Path(os.path.realpath(path))
        file, root = found or (real, real.parent)
        row["sha256"] = _admitted(file, root, name, pipeline.settings.ingest.max_file_bytes)
        screened = pipeline.screen(file, name=name, progress=progress)
    except FacewardenError as error:
        row["error"] = {"code": error.code, "message": str(error)}
        return row
    row |= {
        "verdict": screened.verdict.value,
        "score": screened.score,
        "family": screened.family,
        "family_probability": screened.family_probability,
        "coverage": screened.coverage,
        "partial": screened.coverage < 1,
        "unseen": list(screened.unseen),
        "rejected_faces": screened.rejected_faces,
        "longest_unseen_seconds": screened.report.longest_unseen_seconds,
        "looks": screened.video.looks,
        "turn": screened.turn,
        "hashes": [_hash(each) for each in screened.hashes],
        "provenance": told(screened.provenance),
        "tracks": [vars(track) for track in screened.tracks],
        "flagged_frames": _flagged(pipeline, screened, path, overlays),
        "timings_seconds": screened.timings,
    }
    return row


def _hash(found: FrameHash) -> dict[str, Any]:
    return {"time_seconds": found.time_seconds, "pdq": found.pdq.hex(), "quality": found.quality}


def _admitted(path: Path, root: Path, name: str, max_bytes: int) -> str:
    """The SHA-256 of a file that the gate lets through: only what is known to be media is read."""
    with gate.open_regular(path, root=root, name=name, max_bytes=max_bytes) as file:
        pieces = gate.pieces(file, name)
        head = next(pieces, b"")
        gate.sniff(head[:HEAD_BYTES], name)
        digest = hashlib.sha256(head)
        for piece in pieces:
            digest.update(piece)
    return digest.hexdigest()


def _flagged(
    pipeline: Pipeline, screened: Screened, path: Path, overlays: Path | None
) -> list[dict[str, Any]]:
    frames = []
    for rank, evidence in enumerate(screened.evidence):
        face = screened.faces[evidence.face]
        frame: dict[str, Any] = {
            "track": face.track_number,
            "time_seconds": face.time_seconds,
            "box": list(face.box),
            "frame_size": [face.frame_width, face.frame_height],
            "score": evidence.score,
        }
        if overlays is not None:
            frame["overlays"] = _write_overlays(
                pipeline, evidence.crop, face, overlays, f"{path.stem}-{rank}"
            )
        frames.append(frame)
    return frames


def _write_overlays(
    pipeline: Pipeline, png: bytes, face: FaceResult, folder: Path, stem: str
) -> dict[str, str]:
    from models.explain.overlay import render

    folder.mkdir(parents=True, exist_ok=True)
    crop = decode_crop(png)
    written = {}
    classifier = pipeline.classifier
    landmarks = landmarks_in_crop(
        classifier.version, box=face.box, landmarks=face.landmarks, turn=face.turn, roll=face.roll
    )
    for explanation in explain_crop(crop, classifier, pipeline.settings.lime, landmarks):
        for name, content in render(crop, explanation).items():
            target = folder / f"{printable(stem)}-{explanation.method}-{name}.png"
            target.write_bytes(content)
            written[f"{explanation.method}.{name}"] = str(target)
    return written


def _print_table(rows: list[dict[str, Any]], version: ModelVersion) -> None:
    title = f"model {printed_label(version.id, version.label)}"
    table = verdict_table(title, "file", "verdict", "score", "tracks", "seconds")
    for row in rows:
        path, error = printable(row["path"]), row["error"]
        if error is not None:
            table.add_row(path, coloured("failed:" + error["code"]), "-", "-", "-", error["message"])
            continue
        table.add_row(
            path,
            coloured(row["verdict"]),
            percent(row["score"]),
            str(len(row["tracks"])),
            f"{row['timings_seconds']['total']:.2f}",
            note(
                family=row["family"],
                family_probability=row["family_probability"],
                coverage=row["coverage"],
                rejected_faces=row["rejected_faces"],
            ),
        )
    Console().print(table)
