"""`facewarden evaluate`: how good checkpoints are, as a report."""

from pathlib import Path
from typing import Annotated

import typer

from cli.configuration import read_settings
from cli.learning.clip_options import Frames, Genuine, Kinds, Photos, Windows, chosen
from cli.learning.clip_progress import clip_progress
from core.command_line import command_line
from core.settings import Settings


def evaluate(
    weights: Annotated[
        list[Path] | None, typer.Argument(help="Checkpoints; by default the one in use.")
    ] = None,
    data: Genuine = None,
    labelled: Annotated[
        Path | None, typer.Option(help="Folder of genuine and fake media, instead of --data.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("build/evaluation"),
    compare: Annotated[bool, typer.Option("--compare", help="One report, side by side.")] = False,
    backends: Annotated[
        bool, typer.Option("--backends", help="Compare bf16, fp16, OpenVINO with fp32.")
    ] = False,
    explanations: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Instead, explain this many flagged fakes of --labelled and measure how far that holds.",
        ),
    ] = None,
    explanation_seeds: Annotated[
        int, typer.Option(min=1, help="Explanations of each of these fakes, to see how far seeds agree.")
    ] = 2,
    results: Annotated[Path | None, typer.Option(help="File for one checkpoint's numbers (JSON).")] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Score from which to flag; default: the checkpoint's.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split of --labelled: train, validation, test or all.")] = "test",
    limit: Annotated[int | None, typer.Option(min=1, help="Media per class of --labelled.")] = None,
    photos: Photos = 16,
    windows: Windows = 2,
    frames: Frames = 12,
    crops: Annotated[int, typer.Option(min=0, help="Pairs of face crops per kind of forgery.")] = 32,
    kind: Kinds = None,
    robustness: Annotated[bool, typer.Option(help="Also blur, noise, half size, ...")] = True,
    resamples: Annotated[int, typer.Option(min=0, help="Bootstrap resamples.")] = 1000,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
) -> None:
    """Measure checkpoints on held-out faces and videos, or on labelled media; write a report with plots."""
    from evaluation.held_out import Plan
    from evaluation.run import EvaluationConfig, run_evaluation

    settings = read_settings()
    if explanations is not None:
        _explanations(
            settings,
            weights or [settings.weights],
            labelled=labelled,
            out=out,
            split=split,
            fakes=explanations,
            seeds=explanation_seeds,
            seed=seed,
        )
        return
    config = EvaluationConfig(
        data=data,
        labelled=labelled,
        out=out,
        plan=Plan(frames=frames, windows=windows, photos=photos, robustness=robustness, kinds=chosen(kind)),
        split=split,
        limit=limit,
        pairs=crops,
        backends=backends,
        compare=compare,
        results=results,
        threshold=threshold,
        resamples=resamples,
        seed=seed,
        command=command_line(),
    )
    with clip_progress() as progress:
        _made, written = run_evaluation(settings, weights or [settings.weights], config, progress)
    for each in written:
        typer.echo(f"{each.kind}: {each.path}")


def _explanations(
    settings: Settings,
    checkpoints: list[Path],
    *,
    labelled: Path | None,
    out: Path,
    split: str,
    fakes: int,
    seeds: int,
    seed: int,
) -> None:
    from evaluation.explanations.run import ExplanationsConfig, run_explanations

    if labelled is None or len(checkpoints) != 1:
        raise typer.BadParameter("--explanations explains fakes of --labelled, by one checkpoint")
    config = ExplanationsConfig(
        labelled=labelled, out=out, split=split, fakes=fakes, seeds=seeds, seed=seed, command=command_line()
    )
    with clip_progress() as progress:
        written = run_explanations(settings, checkpoints[0], config, progress)
    typer.echo(written.read_text(encoding="utf-8"))
    typer.echo(f"report: {written}")
