"""`facewarden reaggregate`: other verdicts from the stored logits, first as a dry run."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer

from cli.choosing import Where, filters_of
from cli.configuration import ACTOR, read_settings


def reaggregate(
    suspect_from: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Score from which a video is `suspect`.")
    ] = None,
    fake_from: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Score from which a video is `fake`.")
    ] = None,
    stretch_frames: Annotated[
        int | None, typer.Option(min=5, help="Usable frames that form a stretch.")
    ] = None,
    top_fraction: Annotated[
        float | None, typer.Option(min=0.01, max=1.0, help="Part of a stretch's frames that counts.")
    ] = None,
    where: Where = None,
    apply: Annotated[
        bool, typer.Option("--apply/--dry-run", help="Store the new verdicts; else only count.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Judge stored videos anew by their frames' logits, with other thresholds or another policy.

    What is not given is as the settings say (FACEWARDEN_SCORING__…), or else the checkpoint. It needs no GPU
    and no file.
    """
    from rich.console import Console

    from storage.engine import opened
    from worker.reaggregation import reaggregate as run

    filters, settings = filters_of(where), read_settings()
    given: dict[str, float | int | None] = {
        "suspect_threshold": suspect_from,
        "fake_threshold": fake_from,
        "stretch_frames": stretch_frames,
        "top_fraction": top_fraction,
    }
    other = {name: value for name, value in given.items() if value is not None}
    scoring = settings.scoring.model_copy(update=other)
    if None not in (scoring.suspect_threshold, scoring.fake_threshold) and (
        scoring.suspect_threshold > scoring.fake_threshold  # type: ignore[operator]  # neither is None
    ):
        raise typer.BadParameter("--suspect-from must not be above --fake-from")
    console = Console(stderr=True)
    with opened(settings.sql_url) as engine, console.status("reading") as shown:
        tally = run(
            engine,
            filters,
            scoring,
            apply=apply,
            actor=ACTOR,
            progress=lambda so_far: shown.update(f"{sum(so_far.videos.values()):,} videos judged"),
        )
    _print(tally, applied=apply, as_json=as_json)
    differing = [name for name, value in other.items() if getattr(settings.scoring, name) != value]
    if differing and not as_json:
        named = ", ".join(f"FACEWARDEN_SCORING__{name.upper()}={other[name]}" for name in differing)
        console.print(f"New videos are judged as before: for these as well set {named}", highlight=False)


def _print(tally: Any, *, applied: bool, as_json: bool) -> None:
    from rich.console import Console

    from cli.flips import flip_table, matrix

    flips: Mapping[Any, int] = tally.flips
    counted = {
        "judged": sum(tally.videos.values()),
        "judged_already": tally.judged_already,
        "changed": tally.changed,
        "flipped": sum(flips.values()),
        "newly_flagged": tally.without_frames,
        "overtaken": tally.overtaken,
    }
    if as_json:
        rows = [{**asdict(each), "videos": number} for each, number in sorted(tally.videos.items())]
        typer.echo(json.dumps({"applied": applied, **counted, "verdicts": rows}))
        return
    console = Console()
    if tally.videos:
        console.print(matrix(tally.videos, "before", "now"))
    if flips:
        console.print(flip_table(flips, "before", "now"))
    would = "" if applied else "would "
    console.print(
        f"{counted['judged']:,} judged anew, {counted['judged_already']:,} had this policy's verdict;"
        f" {counted['flipped']:,} {would}flip, {counted['changed']:,} {would}change in score or ranges",
        highlight=False,
    )
    if tally.overtaken:
        console.print(f"{tally.overtaken:,} were answered anew meanwhile and left alone", highlight=False)
    if tally.without_frames:
        console.print(
            f"{tally.without_frames:,} newly flagged have no frames to show: a clear video's are not kept"
            " (docs/model-changes.md)",
            highlight=False,
        )
