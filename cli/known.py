"""`facewarden known`: lists of hashes of known content."""

import csv
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.configuration import ACTOR, read_settings
from core.errors import printable

known = typer.Typer(name="known", help="Lists of hashes of known content.", no_args_is_help=True)

Name = Annotated[str, typer.Option("--list", help="The list's name.")]


class Format(StrEnum):
    CSV = "csv"
    JSON = "json"


@known.command("import")
def import_file(
    file: Annotated[
        Path, typer.Argument(help="CSV, or JSON as of ThreatExchange.", exists=True, dir_okay=False)
    ],
    name: Name,
) -> None:
    """Add the PDQ hashes of a file to a list, and look for videos like them."""
    from storage.engine import opened
    from storage.known import list_files, lists

    read = list_files.read(file.read_bytes(), str(file))
    with opened(read_settings().sql_url) as engine:
        found = lists.add(engine, name, read, settings=read_settings().known, actor=ACTOR)
    typer.echo(
        f"{found.added} hashes added, {found.already} were there already,"
        f" {found.other_types} of other types left out; {found.videos} videos look like one"
    )


@known.command()
def export(
    name: Name,
    kind: Annotated[Format, typer.Option("--format", help="csv or json.")] = Format.CSV,
) -> None:
    """Print a list, as `known import` reads it."""
    from storage.engine import opened
    from storage.known import list_files, lists

    with opened(read_settings().sql_url) as engine:
        found = lists.every_entry(engine, name)
        if kind is Format.JSON:
            typer.echo(json.dumps({"data": [list_files.as_json(each) for each in found]}))
            return
        rows = ((each.pdq.hex(), each.label or "") for each in found)
        csv.writer(sys.stdout).writerows([("pdq", "label"), *rows])


@known.command("lists")
def list_all() -> None:
    """Print the lists with their numbers of hashes."""
    from storage.engine import opened, reading
    from storage.known import lists

    with opened(read_settings().sql_url) as engine, reading(engine) as session:
        for each in lists.listed(session):
            typer.echo(f"{printable(each.name)}: {each.hashes} hashes, since {each.created_at:%Y-%m-%d}")


@known.command()
def remove(name: Name) -> None:
    """Remove a list, and what was found to look like its entries."""
    from storage.engine import opened, transaction
    from storage.known import lists

    with opened(read_settings().sql_url) as engine, transaction(engine) as session:
        lists.remove(session, name, actor=ACTOR)
