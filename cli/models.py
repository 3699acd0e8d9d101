"""`facewarden models`: the versions that were seen, compared, promoted and rolled back."""

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.configuration import ACTOR, read_settings
from core.outcomes import DecisionOutcome

if TYPE_CHECKING:
    from storage.read.model_report import ModelReport
    from storage.read.models import Comparison

REPORTED_DAYS = 90
RATES = (0.01, 0.05)

models = typer.Typer(
    name="models", help="Model versions: list, compare, report, promote, roll back.", no_args_is_help=True
)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout.")]
Named = Annotated[
    str, typer.Argument(help="Id, its beginning, or label of a version; or a checkpoint's file.")
]


@models.command("list")
def list_all(as_json: AsJson = False) -> None:
    """Print the versions that the database knows, and how many videos each has seen."""
    from rich.console import Console
    from rich.table import Table

    from cli.tables import printed_label
    from core.model_version import checkpoint_of
    from core.outcomes import ScreeningStatus
    from storage.engine import opened, reading
    from storage.read.models import seen

    settings = read_settings()
    with opened(settings.sql_url) as engine, reading(engine) as session:
        found = seen(session)
    here = {each.id: checkpoint_of(settings.weights, each.id) for each in found}
    if as_json:
        for each in found:
            row = {**asdict(each), "created_at": each.created_at.isoformat()}
            typer.echo(json.dumps(row | {"checkpoint": here[each.id] and str(here[each.id])}))
        return
    table = Table("model", "screened", "in the queue", "shadow", "suspect", "fake", "calibration", "here")
    for each in found:
        table.add_row(
            printed_label(each.id, each.label) + (" [bold]active[/]" if each.active else ""),
            f"{each.screenings.get(ScreeningStatus.DONE, 0):,}",
            f"{each.represents:,}",
            f"{each.shadowed:,}",
            *("-" if share is None else f"{share:.3f}" for share in (each.suspect_from, each.fake_from)),
            each.calibration,
            "yes" if here[each.id] else "no",
        )
    Console().print(table)
    if not any(each.active for each in found):
        typer.echo("None was promoted: each machine screens with its FACEWARDEN_WEIGHTS.")


@models.command()
def compare(first: Named, second: Named, as_json: AsJson = False) -> None:
    """Compare two versions on the videos that both have judged, by a screening or in the shadow."""
    from review.rescreening import version_of
    from storage.engine import opened, reading
    from storage.read import models as read

    settings = read_settings()
    with opened(settings.sql_url) as engine:
        one, other = (version_of(engine, settings, named) for named in (first, second))
        with reading(engine) as session:
            found = read.compare(session, one, other)
    if as_json:
        rows = [{**asdict(each), "videos": number} for each, number in sorted(found.videos.items())]
        whole = {**vars(found), "videos": rows, "compared": found.compared, "agreement": found.agreement}
        typer.echo(json.dumps(whole))
        return
    _print(found)


def _print(found: "Comparison") -> None:
    from rich.console import Console

    from cli.flips import flip_table, matrix
    from cli.tables import percent

    console = Console()
    if found.compared:
        console.print(matrix(found.videos, f"by {found.first}", "then"))
    if found.flips:
        console.print(flip_table(found.flips, found.first, found.second))
    console.print(
        f"{found.compared:,} videos by both ({found.only_first:,} only by {found.first},"
        f" {found.only_second:,} only by {found.second}); the same verdict: {percent(found.agreement)}",
        highlight=False,
    )
    if found.mean_difference is not None:
        console.print(
            f"scores of {found.scored:,}: the second's are {found.mean_difference:+.3f} on average, and"
            f" {found.mean_distance:.3f} apart",
            highlight=False,
        )
    for decision in (DecisionOutcome.FAKE, DecisionOutcome.GENUINE):
        number, one, other = found.flagged(decision)
        if number:
            console.print(
                f"of {number:,} decided as {decision}: {one:,} flagged by the first, {other:,} by the second",
                highlight=False,
            )


@models.command()
def report(
    model: Annotated[
        str | None, typer.Argument(help="Version, as above; by default the one that screens new videos.")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="From this day on, UTC; default 90 days.")
    ] = None,
    rate: Annotated[
        list[float] | None,
        typer.Option(min=0.0, max=1.0, help="Wanted share of genuine videos flagged; default 0.01 and 0.05."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Hold a version's scores against the reviewers' decisions: precision by score, thresholds, drift."""
    from review.rescreening import version_of
    from storage.engine import opened, reading
    from storage.read.model_report import report as make

    settings = read_settings()
    began = datetime.now(UTC) - timedelta(days=REPORTED_DAYS) if since is None else since.replace(tzinfo=UTC)
    with opened(settings.sql_url) as engine:
        version = version_of(engine, settings, model)
        with reading(engine) as session:
            found = make(session, version, since=began, rates=rate or RATES)
    if as_json:
        typer.echo(json.dumps(asdict(found), default=datetime.isoformat))
        return
    _print_report(found)


def _print_report(found: "ModelReport") -> None:
    from rich.console import Console
    from rich.table import Table

    from cli.tables import percent

    console = Console()
    table = Table("score", "scored", "mean", "fake", "genuine", "unsure", "not reviewed", "precision (95 %)")
    for each in found.strata:
        if each.scored:
            spread = f"{percent(each.precision_low)} to {percent(each.precision_high)}"
            table.add_row(
                f"{each.low:.1f} to {each.high:.1f}",
                f"{each.scored:,}",
                "-" if each.mean_score is None else f"{each.mean_score:.2f}",
                *(f"{number:,}" for number in (each.fake, each.genuine, each.unsure, each.unreviewed)),
                "-" if each.precision is None else f"{percent(each.precision)} ({spread})",
            )
    console.print(table)
    console.print(
        f"{found.model_version} since {found.since:%Y-%m-%d}: {found.reviewed:,} of {found.scored:,} scored"
        " videos were decided. Reviewers see mostly what is flagged, so low scores are known less than high."
        f" Ranges without a decision, taken for genuine: {found.strata_without_review}.",
        highlight=False,
    )
    for one in found.suggestions:
        wanted = f"to flag {percent(one.wanted_rate)} of the genuine videos: "
        told = "nothing to suggest (too few genuine videos were decided)"
        if one.threshold is not None:
            told = (
                f"threshold {one.threshold:.2f} (estimated {percent(one.estimated_rate)}, of those reviewed"
                f" {percent(one.reviewed_rate)}; finds {percent(one.fakes_found)} of the decided fakes)"
            )
        console.print(wanted + told, highlight=False)
    drift = "too few scores" if found.drift is None else f"{found.drift:.2f}"
    console.print(
        f"drift of the last {found.recent_days} days against the days before (PSI): {drift}", highlight=False
    )


@models.command()
def promote(
    model: Named,
    elsewhere: Annotated[
        bool, typer.Option("--elsewhere", help="Although its checkpoint is not on this machine.")
    ] = False,
) -> None:
    """Let a version screen new videos, on all machines, from their next job on.

    Each machine that screens or explains needs its checkpoint beside the one of FACEWARDEN_WEIGHTS first.
    """
    from core.errors import Conflict
    from core.model_version import checkpoint_of
    from review.rescreening import version_of
    from storage import model_versions
    from storage.engine import opened, transaction

    settings = read_settings()
    with opened(settings.sql_url) as engine:
        version = version_of(engine, settings, model)
        if not elsewhere and checkpoint_of(settings.weights, version) is None:
            folder = Path(settings.weights).resolve().parent
            reason = f"its checkpoint is not in {folder}; copy it there, on every machine, or say --elsewhere"
            raise Conflict(what="The model version", key=version, reason=reason)
        with transaction(engine) as session:
            model_versions.promote(session, version, actor=ACTOR)
    typer.echo(f"{version} screens new videos from now on; `facewarden models rollback` undoes it")


@models.command()
def rollback() -> None:
    """Undo the last promotion: the version before screens again, also what waits for the undone one."""
    from core.errors import WeightsError
    from core.model_version import read_model_version
    from ingest.registration import register_version
    from storage import model_versions
    from storage.engine import opened, transaction

    settings = read_settings()
    with opened(settings.sql_url) as engine, transaction(engine) as session:
        try:
            own = read_model_version(settings.weights)
        except WeightsError:  # a machine that only administers needs none
            own = None
        if own is not None:
            register_version(session, own)
        otherwise = None if own is None else own.id
        done = model_versions.roll_back(session, actor=ACTOR, otherwise=otherwise)
    typer.echo(f"new videos are screened by {done.now or 'the checkpoint of FACEWARDEN_WEIGHTS'} again")
    if done.moved or done.cancelled:
        typer.echo(
            f"of what waited for {done.undone} it takes over {done.moved}; cancelled: {done.cancelled}"
        )
    if done.now is None and own is None:
        typer.echo(f"what waits for {done.undone} waits on: there is no checkpoint here to name another one")
