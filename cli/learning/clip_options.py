"""The options of the clips that `calibrate` and `evaluate` make of genuine faces and videos."""

from pathlib import Path
from typing import Annotated

import typer

Genuine = Annotated[
    Path | None,
    typer.Option("--data", envvar="FACEWARDEN_DATA", help="Folder of genuine faces and videos."),
]
Photos = Annotated[int, typer.Option("--photos", min=0, help="Held-out photographs that become clips.")]
Windows = Annotated[int, typer.Option("--windows", min=1, help="Clips made of each held-out video.")]
Frames = Annotated[int, typer.Option("--frames", min=8, help="Frames per clip, four a second.")]
Kinds = Annotated[list[str] | None, typer.Option("--kind", help="Only these kinds of forgery; repeat it.")]


def chosen(wanted: list[str] | None) -> tuple[str, ...]:
    """The requested kinds, or all if none is named. Raises typer.BadParameter for an unknown one."""
    from models.synthesis.kinds import KINDS

    unknown = [kind for kind in wanted or [] if kind not in KINDS]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is not a kind of forgery; choose from {', '.join(KINDS)}")
    return tuple(wanted or KINDS)
