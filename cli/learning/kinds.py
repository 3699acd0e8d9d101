"""The option that names kinds of pseudo-fakes."""

from typing import Annotated

import typer

Kinds = Annotated[list[str] | None, typer.Option("--kind", help="Only these kinds of forgery; repeat it.")]


def chosen(wanted: list[str] | None) -> tuple[str, ...]:
    """The requested kinds, or all if none is named. Raises typer.BadParameter for an unknown one."""
    from models.synthesis.kinds import KINDS

    unknown = [kind for kind in wanted or [] if kind not in KINDS]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is not a kind of forgery; choose from {', '.join(KINDS)}")
    return tuple(wanted or KINDS)
