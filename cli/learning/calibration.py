"""`facewarden calibrate`: make a checkpoint's video scores probabilities and set its thresholds."""

from pathlib import Path
from typing import Annotated

import typer

from cli.configuration import read_settings
from cli.learning.clip_options import Frames, Genuine, Kinds, Photos, Windows, chosen
from cli.learning.clip_progress import clip_progress
from core.command_line import command_line


def calibrate(
    weights: Annotated[Path, typer.Argument(help="The checkpoint to calibrate.")],
    out: Annotated[Path, typer.Option(help="Where the calibrated checkpoint goes.")],
    data: Genuine = None,
    labelled: Annotated[
        Path | None,
        typer.Option(help="Genuine and fake media; their validation split is used instead of --data."),
    ] = None,
    label: Annotated[str | None, typer.Option(help="A new label.")] = None,
    false_positive_rate: Annotated[
        float, typer.Option(min=0.001, max=0.5, help="Target fraction of genuine videos that are flagged.")
    ] = 0.05,
    method: Annotated[str, typer.Option(help="platt (slope and intercept) or temperature.")] = "platt",
    photos: Photos = 16,
    windows: Windows = 2,
    frames: Frames = 12,
    kept: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Fraction of fakes, flagged alone, that stay flagged among many genuine faces."
        ),
    ] = 0.75,
    looks_only: Annotated[
        bool,
        typer.Option("--looks-only", help="Fit only the correction for many looks, keep the rest."),
    ] = False,
    results: Annotated[
        Path | None,
        typer.Option(
            help="Results (JSON) to update for the new checkpoint; only looks and families may have changed."
        ),
    ] = None,
    kind: Kinds = None,
) -> None:
    """Fit a checkpoint's calibration and thresholds on clips that no evaluation uses."""
    from evaluation.calibrate import CalibrationConfig
    from evaluation.calibrate import calibrate as run
    from evaluation.held_out import Plan

    if method not in {"platt", "temperature"}:
        raise typer.BadParameter("--method must be platt or temperature")
    config = CalibrationConfig(
        data=data,
        labelled=labelled,
        plan=Plan(frames=frames, windows=windows, photos=photos, kinds=chosen(kind)),
        method="platt" if method == "platt" else "temperature",
        rate=false_positive_rate,
        label=label,
        looks_only=looks_only,
        kept=kept,
        results=results,
        command=command_line(),
    )
    with clip_progress() as progress:
        made = run(read_settings(), weights, out, config, progress)
    typer.echo(f"{out}: {made.id} ({made.label})")
    typer.echo(f"flagged from {made.suspect_threshold}, fake from {made.fake_threshold}")
    if made.calibration.families is not None:
        typer.echo(f"a family named from {made.calibration.families.least}")
