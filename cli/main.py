"""The `facewarden` command. Each subcommand imports what it needs when it runs, so that help is instant."""

import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from cli import accounts, audit, known, models, reaggregation, rescreening
from cli.configuration import read_settings as _settings
from cli.learning import calibration, evaluation, gpu_training, hold_out, model_card, training
from core.errors import FacewardenError
from core.outcomes import Verdict
from core.priorities import Priority

EXIT_FAILED = 1  # something that was asked for could not be done
EXIT_INPUTS = 3  # done, but some inputs could not be screened
EXIT_FLAGGED = 10  # `screen --fail-on-flagged` found something
EXIT_UNJUDGED = 11  # nothing flagged, but faces that it could not judge

app = typer.Typer(
    name="facewarden",
    help="Finds deepfakes in videos, shows why, and lets reviewers decide.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(accounts.account)
app.add_typer(accounts.token)
app.add_typer(audit.audit)
app.add_typer(known.known)
app.add_typer(models.models)

Paths = Annotated[list[Path], typer.Argument(help="Files, or folders of files.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout.")]


def main() -> None:
    """Run the command; an expected error becomes one line on stderr and an exit code."""
    try:
        app()
    except FacewardenError as error:
        if os.environ.get("FACEWARDEN_LOG_LEVEL") == "debug":
            raise
        sys.stderr.write(f"facewarden: {error}\n")
        sys.exit(EXIT_FAILED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"facewarden {version('facewarden')}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options before the subcommand."""


@app.command()
def up(
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="Stop once everything in the bucket is screened.")
    ] = False,
) -> None:
    """Run everything on this machine: queue server, ingest, screen worker, explain worker, review pages."""
    from cli.up.supervisor import Supervisor

    raise typer.Exit(Supervisor(_settings()).run(until_idle=until_idle))


@app.command()
def screen(
    paths: Paths,
    as_json: AsJson = False,
    weights: Annotated[Path | None, typer.Option(help="Another checkpoint.")] = None,
    overlays: Annotated[Path | None, typer.Option(help="Folder for the explanation overlays.")] = None,
    fail_on_flagged: Annotated[
        bool, typer.Option("--fail-on-flagged", help="Exit with 10 if any is flagged, 11 if any is unjudged.")
    ] = False,
) -> None:
    """Screen files here and now, without queue and database.

    Exit code: 0 all screened, 3 some could not be screened; with --fail-on-flagged also 10 some flagged,
    else 11 some with faces that could not be judged.
    """
    from core.model_version import read_model_version

    settings = _settings()
    if weights is not None:
        settings = settings.model_copy(update={"weights": weights})
    read_model_version(settings.weights)  # what is wrong with them is said before torch is loaded

    from cli.screening import screen_files

    tally = screen_files(settings, paths, as_json=as_json, overlays=overlays)
    if tally.flagged and fail_on_flagged:
        raise typer.Exit(EXIT_FLAGGED)
    if tally.unjudged and fail_on_flagged:
        raise typer.Exit(EXIT_UNJUDGED)
    raise typer.Exit(EXIT_INPUTS if tally.failed else 0)


@app.command()
def watch(
    url: Annotated[str, typer.Argument(help="Address of an HLS playlist (https://….m3u8), or rtmp://….")],
    seconds: Annotated[
        float | None, typer.Option(min=1, help="Stop after so many seconds of the stream.")
    ] = None,
    as_json: AsJson = False,
    evidence: Annotated[
        Path | None, typer.Option(help="Folder for the most suspicious frames of each alert.")
    ] = None,
    fail_on_flagged: Annotated[
        bool, typer.Option("--fail-on-flagged", help="Exit with 10 if there was an alert.")
    ] = False,
) -> None:
    """Watch a live stream here and now, without queue and database, until it ends.

    Exit code: 0 watched, 1 it could not be; with --fail-on-flagged also 10 an alert.
    """
    from cli.watching import watch_stream

    watched = watch_stream(_settings(), url, seconds=seconds, as_json=as_json, evidence=evidence)
    if watched.error is not None:
        raise watched.error
    raise typer.Exit(EXIT_FLAGGED if watched.alerts and fail_on_flagged else 0)


@app.command()
def ingest(
    places: Annotated[
        list[str] | None,
        typer.Argument(help="Files, folders of files, s3://bucket/prefix, or addresses (https://…)."),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Watch the bucket until stopped.")] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on where an interrupted run stopped; read nothing that is known."),
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the verdicts.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="What became of each file, as .csv or .json, written at the end.")
    ] = None,
    priority: Annotated[
        Priority | None,
        typer.Option(help="In which queue they wait; backfill for s3:// and --resume, else normal."),
    ] = None,
) -> None:
    """Queue files for screening, or watch the bucket.

    Exit code: 0 all taken in, 3 some were refused or, with --wait, could not be screened.
    """
    from cli.intake import Wish, is_address, take_in, watch_bucket

    settings = _settings()
    if watch:
        watch_bucket(settings)
    elif not places:
        raise typer.BadParameter("give files, folders or s3://bucket/prefix, or --watch")
    elif resume and any(map(is_address, places)):
        raise typer.BadParameter("--resume means nothing for addresses (https://…): they are fetched anew")
    else:
        wish = Wish(resume=resume, wait=wait, report=report, priority=priority)
        raise typer.Exit(EXIT_INPUTS if take_in(settings, places, wish) else 0)


@app.command()
def upload(
    paths: Paths,
    server: Annotated[str, typer.Option(help="Address of the review service, `https://…`.")],
    token_file: Annotated[Path, typer.Option(help="File with an API token (scope upload; read to wait).")],
    priority: Annotated[Priority, typer.Option(help="In which queue they wait.")] = Priority.NORMAL,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the verdicts.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send files to an installation elsewhere, and with --wait print what it finds."""
    from cli.sending import read_token, send
    from facewarden.client import Client

    with Client(server, read_token(token_file)) as client:
        failed = send(client, paths, _settings(), priority=priority, wait=wait, as_json=as_json)
    raise typer.Exit(EXIT_INPUTS if failed else 0)


@app.command()
def worker(
    queue: Annotated[str, typer.Option(help="screen or explain.")] = "screen",
    burst: Annotated[bool, typer.Option("--burst", help="Exit when the queue is empty.")] = False,
    devices: Annotated[
        str | None,
        typer.Option(
            help="A process for each: `all` GPUs, or such as `0,1` or `0,1,cpu`. Default: one process."
        ),
    ] = None,
) -> None:
    """Work on one queue until stopped. SIGTERM stops it after the running job."""
    from core.queues import EXPLAIN, SCREEN

    if queue not in {SCREEN, EXPLAIN}:
        raise typer.BadParameter(f"--queue must be {SCREEN} or {EXPLAIN}")
    if devices is not None:
        from cli.devices import DeviceCrew, device_list

        raise typer.Exit(DeviceCrew(device_list(devices), ["worker", "--queue", queue]).run(burst=burst))
    from worker.process import EXPLAIN_NICENESS, run_worker

    if queue == EXPLAIN:
        os.nice(EXPLAIN_NICENESS)
    raise typer.Exit(run_worker(queue, _settings(), burst=burst))


@app.command()
def review(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on.")] = None,
) -> None:
    """Serve the review pages and the API until stopped."""
    from review.server import serve

    settings = _settings()
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    serve(settings.model_copy(update={"review": settings.review.model_copy(update=given)}))


@app.command()
def deliver() -> None:
    """Send webhooks until stopped. SIGTERM stops it after the attempts that run."""
    from webhooks.service import deliver as send_events

    send_events(_settings())


@app.command()
def streams() -> None:
    """Watch the live streams that were asked for until stopped. SIGTERM gives them to other processes."""
    from worker.stream_service import watch_streams

    watch_streams(_settings())


@app.command()
def status(
    as_json: AsJson = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until nothing is left to do.")] = False,
    timeout: Annotated[float, typer.Option(help="Longest wait in seconds.")] = 3600,
) -> None:
    """Show what is queued, running and done, the running processes, and where the queue is."""
    from cli.status import show_status

    raise typer.Exit(
        0 if show_status(_settings(), as_json=as_json, wait=wait, timeout=timeout) else EXIT_FAILED
    )


@app.command()
def results(
    flagged: Annotated[bool, typer.Option("--flagged", help="Only fake and suspect.")] = False,
    verdict: Annotated[Verdict | None, typer.Option(help="Only this verdict.")] = None,
    as_json: AsJson = False,
    limit: Annotated[
        int, typer.Option(min=1, max=10000, help="Most videos to list, the newest first.")
    ] = 100,
    after: Annotated[int | None, typer.Option(help="Continue after this screening id.")] = None,
) -> None:
    """Show verdicts, tracks, flagged frames and explanations of the videos."""
    from cli.results import show_results
    from core.outcomes import FLAGGED
    from storage.queue.filters import Filters

    if flagged and verdict:
        raise typer.BadParameter("give --flagged or --verdict, not both")
    verdicts = FLAGGED if flagged else (verdict,) if verdict else ()
    wanted = Filters(verdicts=verdicts, every_screening=True)
    show_results(_settings(), wanted, as_json=as_json, limit=limit, after=after)


@app.command()
def explain(
    video: Annotated[str, typer.Argument(help="A stored video's SHA-256 (or its first digits) or name.")],
) -> None:
    """Queue new explanations of a stored video's flagged frames."""
    from cli.results import explain_again

    explain_again(_settings(), video)


@app.command()
def sweep(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only report.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Remove them however many there are.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove stored objects that no database row names; report rows whose object is missing (exit code 1)."""
    from cli.sweep import run_sweep

    whole = run_sweep(_settings(), dry_run=dry_run, force=force, as_json=as_json)
    raise typer.Exit(0 if whole else EXIT_FAILED)


@app.command()
def purge(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False, as_json: AsJson = False
) -> None:
    """Erase originals and pictures of faces whose days are over (FACEWARDEN_RETENTION__…)."""
    from cli.keeping import purge as run_purge

    run_purge(_settings(), dry_run=dry_run, as_json=as_json)


@app.command()
def erase(
    reason: Annotated[str, typer.Option("--reason", help="Why, for the audit log.")],
    video: Annotated[
        list[str] | None, typer.Argument(help="Numbers, names or SHA-256 of videos.", show_default=False)
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="All videos that were seen in this source alone.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which.")] = False,
) -> None:
    """Erase videos for good: files, pictures, results, hashes, decisions. They are not taken in again.

    Exit code: 0 all erased, 1 some were passed over, being under legal hold or unknown.
    """
    from cli.keeping import erase as run_erase

    if not video and source is None:
        raise typer.BadParameter("name videos, or a --source")
    run_erase(_settings(), video or [], source=source, reason=reason, dry_run=dry_run)


@app.command()
def hold(
    video: Annotated[str, typer.Argument(help="Number, name or SHA-256 of a video.")],
    reason: Annotated[str | None, typer.Option("--reason", help="Why, for the audit log.")] = None,
    lift: Annotated[bool, typer.Option("--lift", help="Lift the hold.")] = False,
) -> None:
    """Put a video under legal hold: nothing of it is erased until the hold is lifted."""
    from cli.keeping import hold as run_hold

    if (reason is None) is not lift:
        raise typer.BadParameter("give either --reason or --lift")
    run_hold(_settings(), video, reason=reason)


@app.command()
def readmit(sha256: Annotated[str, typer.Argument(help="Of content that was erased.")]) -> None:
    """Let content that was erased be taken in again."""
    from cli.keeping import readmit as run_readmit

    run_readmit(_settings(), sha256)


@app.command()
def health() -> None:
    """Is the process that shows its signs of life here ready? Exit code 1 if not, with what is missing."""
    from cli.health import ask

    ask(_settings().signs)


@app.command()
def create_buckets() -> None:
    """Make the buckets in S3 that the settings name, where they are missing."""
    from cli.buckets import create_buckets as make_them

    for name, made in make_them(_settings()).items():
        typer.echo(f"{'made' if made else 'there already'}: s3://{name}")


@app.command()
def migrate() -> None:
    """Migrate the database to this release's schema."""
    from storage.engine import connect
    from storage.migrate import upgrade

    settings = _settings()
    engine = connect(settings.sql_url)
    upgrade(engine)
    typer.echo(f"migrated {engine.url.render_as_string(hide_password=True)}")


@app.command()
def config(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page docs/settings.md.")] = False,
    env: Annotated[bool, typer.Option("--env", help="Print the file .env.example.")] = False,
    formats: Annotated[bool, typer.Option("--formats", help="Print the page docs/formats.md.")] = False,
) -> None:
    """Show the settings in force, secrets masked."""
    from cli import formats as format_page
    from cli.configuration import as_env, as_markdown, as_table

    if markdown:
        typer.echo(as_markdown(), nl=False)
    elif env:
        typer.echo(as_env(), nl=False)
    elif formats:
        typer.echo(format_page.as_markdown(), nl=False)
    else:
        typer.echo(as_table(_settings()), nl=False)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check everything that screening needs."""
    from cli.doctor import examine

    raise typer.Exit(0 if examine(_settings(), as_json=as_json) else EXIT_FAILED)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Folder for its files.")] = Path("build/demo"),
) -> None:
    """Make a genuine and a swapped clip, screen both end to end, print the verdicts."""
    from cli.demo import run_demo

    raise typer.Exit(0 if run_demo(_settings(), folder) else EXIT_FAILED)


app.command()(training.train)
app.command()(training.train_renderers)
app.command()(gpu_training.pack)
app.command()(gpu_training.export_gpu)
app.command()(reaggregation.reaggregate)
app.command()(rescreening.rescreen)
app.command()(hold_out.hold_out)
app.command()(calibration.calibrate)
app.command()(evaluation.evaluate)
app.command()(model_card.model_card)
