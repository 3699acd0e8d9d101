"""`facewarden results` and `facewarden explain`."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console

from cli.tables import coloured, note, percent, printed_label, verdict_table
from core import queues
from core.errors import NotFound, printable
from core.known import KnownContent
from core.provenance import told
from core.results import TrackResult
from core.settings import Settings
from storage import explanations
from storage.engine import opened, reading, transaction
from storage.objects.choice import open_store
from storage.objects.store import ObjectStore
from storage.queue.filters import Filters, Position
from storage.read import detail, flagged_frames
from storage.read.detail import ScreeningDetail
from storage.read.flagged_frames import FlaggedFrameDetail

# Of a screening, of a flagged frame and of an explanation, as `--json` prints them.
SCREENING_FIELDS = (
    "screening_id",
    "video_id",
    "sha256",
    "status",
    "verdict",
    "score",
    "coverage",
    "partial",
    "turn",
    "rejected_faces",
    "longest_unseen_seconds",
    "model_version",
    "model_label",
    "error_code",
    "error_message",
)
FRAME_FIELDS = (
    "id",
    "rank",
    "track",
    "face_id",
    "time_seconds",
    "box",
    "frame_width",
    "frame_height",
    "score",
    "explain_status",
    "explain_error",
)
EXPLANATION_FIELDS = (
    "id",
    "method",
    "parameters",
    "seed",
    "r2",
    "stability",
    "intercept",
    "local_prediction",
)


def show_results(
    settings: Settings, filters: Filters, *, as_json: bool, limit: int, after: int | None
) -> None:
    """Print a page of stored results; `after` is the last screening's number of the page before.

    Raises ServiceUnavailable where the database does not answer.
    """
    position = None if after is None else Position(id=after)
    with opened(settings.sql_url) as engine, reading(engine) as session:
        found = detail.screenings(session, filters, after=position, limit=limit)
    objects = open_store(settings)
    if as_json:
        for screening in found:
            print(json.dumps(as_object(screening, objects)))  # noqa: T201  stdout is this command's output
        return
    print_results(found, objects)


def as_object(found: ScreeningDetail, objects: ObjectStore) -> dict[str, Any]:
    """A screening as `--json` prints it, and where its pictures are."""
    worst = found.worst_track
    return {
        **_picked(found.item, SCREENING_FIELDS),
        "family": None if worst is None else worst.family,
        "family_probability": None if worst is None else worst.family_probability,
        "names": found.names,
        "known": [_known(each) for each in found.known],
        "attempt": found.attempt,
        "looks": found.looks,
        "policy": None if found.policy is None else asdict(found.policy),
        "provenance": told(found.provenance),
        "tracks": [_track(found, track) for track in found.tracks],
        "flagged_frames": [_frame(frame, objects) for frame in found.flagged_frames],
        "timings_seconds": found.timings,
    }


def _known(each: KnownContent) -> dict[str, Any]:
    decision = each.decision
    decided = None
    if decision is not None:
        decided = {**vars(decision), "created_at": decision.created_at.isoformat()}
    return {**vars(each), "decision": decided}


def _track(found: ScreeningDetail, track: TrackResult) -> dict[str, Any]:
    evidence = found.evidence(track.number)
    return {**vars(track), "evidence": None if evidence is None else asdict(evidence)}


def _frame(frame: FlaggedFrameDetail, objects: ObjectStore) -> dict[str, Any]:
    return {
        **_picked(frame, FRAME_FIELDS),
        "image": str(objects.where(frame.image_key)),
        "crop": str(objects.where(frame.crop_key)),
        "explanations": [
            {
                **_picked(each, EXPLANATION_FIELDS),
                "evidence": None if each.evidence is None else asdict(each.evidence),
                "created_at": each.created_at.isoformat(),
                "overlays": {name: str(objects.where(key)) for name, key in each.overlays.items()},
            }
            for each in frame.explanations
        ],
        "explanation_ids": [each.id for each in frame.explanations],
    }


def _picked(value: object, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(value, name) for name in names}


def print_results(found: Sequence[ScreeningDetail], objects: ObjectStore) -> None:
    """The verdict table, and below it each flagged frame with its overlays."""
    console = Console()
    models = {printed_label(one.item.model_version, one.item.model_label): None for one in found}
    several = len(models) > 1
    title = "results" if several else " of model ".join(["results", *models])
    table = verdict_table(title, "video", "verdict", "score", "tracks", *["model"] * several)
    for screening in found:
        item, worst = screening.item, screening.worst_track
        table.add_row(
            _name(screening),
            coloured(item.verdict or ("failed:" + item.error_code if item.error_code else item.status)),
            percent(item.score),
            str(len(screening.tracks)),
            *[item.model_version] * several,
            item.error_message
            or note(
                family=None if worst is None else worst.family,
                family_probability=None if worst is None else worst.family_probability,
                coverage=item.coverage,
                partial=item.partial,
                rejected_faces=item.rejected_faces,
            ),
        )
    console.print(table)
    for screening in found:
        for frame in screening.flagged_frames:
            console.print(
                f"{_name(screening)} at {frame.time_seconds:.2f} s, track {frame.track}, "
                f"frame score {percent(frame.score)}",
                highlight=False,
            )
            for explanation in frame.explanations:
                certainty = f" R2 {explanation.r2:.2f}" if explanation.r2 is not None else ""
                if explanation.stability is not None:
                    certainty += f", stability {explanation.stability:.2f}"
                console.print(f"  {explanation.method}{certainty}", highlight=False)
                if explanation.evidence is not None:
                    console.print(f"    {explanation.evidence.sentence}", highlight=False)
                for kind, key in explanation.overlays.items():
                    console.print(f"    {kind}: {objects.where(key)}", highlight=False, soft_wrap=True)


def _name(screening: ScreeningDetail) -> str:
    """The name under which the video first arrived."""
    return printable(screening.names[0] if screening.names else screening.item.sha256[:12])


def explain_again(settings: Settings, video: str) -> None:
    """Queue the flagged frames of a video for new explanations. Raises NotFound where it has none."""
    connection = queues.connect(settings.queue_url)
    with opened(settings.sql_url) as engine, transaction(engine) as session:
        chosen = flagged_frames.flagged_screenings(session, video)
        if not chosen:
            raise NotFound(what="A flagged video", key=video)
        tickets = [ticket for screening in chosen for ticket in explanations.ask_again(session, screening)]
    for ticket in tickets:
        queues.enqueue_explain(
            connection,
            ticket.row_id,
            ticket.attempt,
            job_seconds=settings.worker.job_seconds,
            priority=ticket.priority,
        )
    Console().print(f"{len(tickets)} flagged frames queued for explanation")
