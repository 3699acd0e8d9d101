"""`facewarden audit`: the log of who did what, checked and handed on."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.configuration import ACTOR, read_settings
from core.errors import InvalidValue

if TYPE_CHECKING:
    from storage.audit import Verification

EXIT_BROKEN = 1

audit = typer.Typer(name="audit", help="The log of who did what.", no_args_is_help=True)


@audit.command()
def verify(
    file: Annotated[
        Path | None, typer.Argument(help="A file of `facewarden audit export`; without it, the log itself.")
    ] = None,
    head: Annotated[str | None, typer.Option(help="A hash that an earlier run printed.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Check the log's hash chain; exit code 1 if it is broken or lacks the given hash.

    Keep the printed hash somewhere else: with it, a later run also notices if the end was cut off. A file is
    checked without the database. If it begins later than the log, give the head of the file before it.
    """
    begins = None
    if file is None:
        found = _of_the_log(head)
    else:
        found, begins = _of_a_file(file, head)
    if as_json:
        told = {} if begins is None else {"begins": begins}
        typer.echo(json.dumps({"sound": found.sound, **vars(found), **told}))
    else:
        _tell(found, head, begins)
    if not found.sound:
        raise typer.Exit(EXIT_BROKEN)


def _of_the_log(head: str | None) -> "Verification":
    from storage import audit as log
    from storage.engine import connect, reading

    engine = connect(read_settings().sql_url)
    with reading(engine) as session:
        found = log.verify(session, expected=head)
    engine.dispose()
    return found


def _of_a_file(file: Path, head: str | None) -> "tuple[Verification, str | None]":
    """What was found; and where the file begins, in words, if not with the log."""
    from storage import audit_files

    try:
        checked = audit_files.verify(file, expected=head)
    except OSError as error:
        raise InvalidValue(field="file", reason=f"{file}: {error.strerror}") from error
    if checked.first_id in {None, 1}:
        return checked.verification, None
    return checked.verification, f"at event {checked.first_id}, behind the one with the hash {checked.after}"


def _tell(found: "Verification", head: str | None, begins: str | None) -> None:
    if found.broken_at is not None:
        typer.echo(
            f"broken at event {found.broken_at}: it, or one before it, was changed or removed", err=True
        )
        typer.echo(f"{found.events} events before it are sound; their head is {found.head}", err=True)
    elif found.expected_found is False:
        typer.echo(f"{found.events} events, sound, but {head} is not among them: the log was cut", err=True)
    else:
        typer.echo(f"{found.events} events, sound; head {found.head}")
    if begins is not None:
        typer.echo(f"it begins {begins}", err=True)


@audit.command()
def export(
    since: Annotated[str, typer.Option(help="Only from this date or moment on (ISO 8601, UTC).")] = "",
    format_: Annotated[str, typer.Option("--format", help="jsonl or csv.")] = "jsonl",
) -> None:
    """Write the log to stdout, with the hashes by which `facewarden audit verify FILE` checks it anywhere."""
    from storage import audit_files
    from storage.engine import connect

    if format_ not in set(audit_files.Format):
        raise InvalidValue(field="format", reason=f"it is {' or '.join(audit_files.Format)}")
    engine = connect(read_settings().sql_url)
    try:
        lines = audit_files.export(
            engine,
            audit_files.Format(format_),
            actor=ACTOR,
            since=audit_files.moment(since) if since else None,
        )
        for line in lines:
            sys.stdout.write(line)
    finally:
        engine.dispose()
