"""`facewarden results` and `facewarden explain`."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from cli.tables import coloured, percent, printed_label
from core import queues
from core.errors import NotFound, printable
from core.settings import Settings
from review.words import reasons
from storage import explanations
from storage.engine import connect, transaction
from storage.objects import FolderStore
from storage.read import queries
from storage.read.queries import VideoView


def show_results(
    settings: Settings, *, verdicts: Sequence[str], as_json: bool, limit: int, after: int | None
) -> None:
    """Print stored results, the newest first; all where `verdicts` is empty.

    Raises ServiceUnavailable where the database is away.
    """
    with transaction(connect(settings.sql_url)) as session:
        videos = queries.list_videos(session, verdicts=verdicts, limit=limit, after=after)
    objects = FolderStore(settings.objects_folder)
    if as_json:
        for video in videos:
            print(json.dumps(as_object(video, objects)))  # noqa: T201  stdout is this command's output
        return
    print_videos(videos, objects)


def as_object(video: VideoView, objects: FolderStore) -> dict[str, Any]:
    """A video as `--json` prints it, with the paths of its pictures."""
    values = asdict(video)
    values["timings_seconds"] = values.pop("timings")
    for frame in values["flagged_frames"]:
        for picture in ("image", "crop"):
            frame[picture] = str(objects.path(frame.pop(f"{picture}_key")))
        frame["explanation_ids"] = [explanation["id"] for explanation in frame["explanations"]]
        for explanation in frame["explanations"]:
            explanation["created_at"] = explanation["created_at"].isoformat()
            explanation["overlays"] = {
                name: str(objects.path(key)) for name, key in explanation["overlays"].items()
            }
    return values


def print_videos(videos: list[VideoView], objects: FolderStore) -> None:
    """The verdict table, and below it each flagged frame with its overlays."""
    console = Console()
    table = Table(title="results")
    for column in ("video", "verdict", "score", "coverage", "tracks", "model", "note"):
        table.add_column(column, overflow="fold")
    for video in videos:
        table.add_row(
            printable(video.names[0] if video.names else video.sha256[:12]),
            coloured(video.verdict or ("failed:" + video.error_code if video.error_code else video.status)),
            percent(video.score),
            percent(video.coverage) + (" partial" if video.partial else ""),
            str(len(video.tracks)),
            printed_label(video.model_version, video.model_label),
            video.error_message or reasons(video.rejected_faces),
        )
    console.print(table)
    for video in videos:
        for frame in video.flagged_frames:
            name = printable(video.names[0] if video.names else video.sha256[:12])
            console.print(
                f"{name} at {frame.time_seconds:.2f} s, track {frame.track}, "
                f"frame score {percent(frame.score)}",
                highlight=False,
            )
            for explanation in frame.explanations:
                certainty = f" R2 {explanation.r2:.2f}" if explanation.r2 is not None else ""
                if explanation.stability is not None:
                    certainty += f", stability {explanation.stability:.2f}"
                console.print(f"  {explanation.method}{certainty}", highlight=False)
                for kind, key in explanation.overlays.items():
                    console.print(f"    {kind}: {objects.path(key)}", highlight=False, soft_wrap=True)


def explain_again(settings: Settings, video: str) -> None:
    """Queue the flagged frames of a video for new explanations. Raises NotFound where it has none."""
    connection = queues.connect(settings.queue_url)
    with transaction(connect(settings.sql_url)) as session:
        chosen = queries.flagged_screenings(session, video)
        if not chosen:
            raise NotFound(what="A flagged video", key=video)
        tickets = [ticket for screening in chosen for ticket in explanations.ask_again(session, screening)]
    for ticket in tickets:
        queues.enqueue_explain(
            connection, ticket.row_id, ticket.attempt, job_seconds=settings.worker.job_seconds
        )
    Console().print(f"{len(tickets)} flagged frames queued for explanation")
