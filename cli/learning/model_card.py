"""`facewarden model-card`: the generated parts of docs/model-card.md, from the results beside the weights."""

from pathlib import Path
from typing import Annotated

import typer

from cli.configuration import read_settings


def model_card(
    results: Annotated[Path | None, typer.Option(help="Of `evaluate --results`.")] = None,
    card: Annotated[Path, typer.Option(help="The page whose generated parts are renewed.")] = Path(
        "docs/model-card.md"
    ),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if it would change.")] = False,
) -> None:
    """Renew the generated parts of the model card from the results beside the weights."""
    from evaluation.report.model_card import renew

    if not renew(results or read_settings().weights.with_suffix(".json"), card, check=check):
        typer.echo(f"{card} is not what the results say; run `facewarden model-card`", err=True)
        raise typer.Exit(1)
    typer.echo(f"{card} is true to the results")
