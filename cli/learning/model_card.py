"""`facewarden model-card`: generates parts of docs/model-card.md from the results beside the weights."""

from pathlib import Path
from typing import Annotated

import typer

from cli.configuration import read_settings


def model_card(
    results: Annotated[Path | None, typer.Option(help="Results of `evaluate --results`.")] = None,
    card: Annotated[Path, typer.Option(help="The page whose generated parts are updated.")] = Path(
        "docs/model-card.md"
    ),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if it would change.")] = False,
) -> None:
    """Update the generated parts of the model card from the results beside the weights."""
    from evaluation.report.model_card import renew

    if not renew(results or read_settings().weights.with_suffix(".json"), card, check=check):
        typer.echo(f"{card} does not match the results; run `facewarden model-card`", err=True)
        raise typer.Exit(1)
    typer.echo(f"{card} matches the results")
