"""`facewarden rescreen`: many videos by another model version, as bulk work."""

import json
from collections.abc import Mapping
from typing import Annotated

import typer

from cli.choosing import Where, filters_of
from cli.configuration import ACTOR, read_settings
from core.priorities import Priority

PASSED_OVER = {
    "waiting": "wait for it already",
    "done": "it has screened (--again for all)",
    "failed": "it has failed at (--again for all)",
    "erased": "have no file any more",
}


def rescreen(
    where: Where = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Model version, or a checkpoint's file; by default the one that screens new videos."
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also what it has screened or failed at: it waits anew.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Ask for no more than so many.")] = None,
    priority: Annotated[Priority, typer.Option(help="In which queue they wait.")] = Priority.BACKFILL,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Ask for stored videos to be screened by a model version, and pause while the queue is deep.

    Its workers need the checkpoint beside their own (docs/model-changes.md). Until it has a verdict, a
    video keeps the one that it has by another model version.
    """
    from rich.console import Console

    from review import rescreening
    from storage.engine import opened

    filters, settings = filters_of(where), read_settings()
    console = Console(stderr=True)
    with opened(settings.sql_url) as engine, console.status("counting") as shown:

        def tell(bulk: rescreening.Bulk, waiting: int | None) -> None:
            note = "" if waiting is None else f" (waits: {waiting:,} in the queue)"
            shown.update(f"{bulk.asked:,} of {bulk.standings.total():,}{note}")

        bulk = rescreening.ask_all(
            engine,
            settings,
            filters,
            model_version=rescreening.version_of(engine, settings, model),
            again=again,
            dry_run=dry_run,
            actor=ACTOR,
            priority=priority,
            limit=limit,
            progress=tell,
        )
    standings = {each.value: number for each, number in bulk.standings.items()}
    if as_json:
        typer.echo(json.dumps({"asked": bulk.asked, "dry_run": dry_run, "selected": standings}))
        return
    wait = "would wait" if dry_run else "wait"
    typer.echo(f"{bulk.asked:,} of {bulk.standings.total():,} videos {wait} to be screened")
    _print_others(standings, again=again)


def _print_others(standings: Mapping[str, int], *, again: bool) -> None:
    for name, words in PASSED_OVER.items():
        if standings.get(name) and not (again and name in {"done", "failed"}):
            typer.echo(f"  {standings[name]:,} {words}")
