"""`facewarden pack` and `export-gpu`: the steps before and after `python -m models.training.gpu`."""

from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.configuration import read_settings
from cli.learning.data_sets import SHARES, DataSets, TestSources
from cli.learning.training import crop_store, parse_shares
from core.command_line import command_line

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from models.training.gpu.packing import Packed

MEBIBYTE = 2**20


def pack(
    data: DataSets,
    out: Annotated[Path, typer.Option(help="The file.")] = Path("build/pack.safetensors"),
    genuine: Annotated[
        Path | None, typer.Option(help="Also a folder of genuine faces; see docs/training.md.")
    ] = None,
    megabytes: Annotated[float, typer.Option(min=0.1, help="Largest size of the file.")] = 55,
    split: Annotated[str, typer.Option(help="Split of data without an official one.")] = SHARES,
    test_source: TestSources = None,
    frames: Annotated[int, typer.Option(min=1, help="Frames per video.")] = 16,
) -> None:
    """Put the faces of data sets into one small file, for training on a GPU elsewhere."""
    from rich.console import Console
    from rich.progress import Progress

    from models.datasets.hold_out import divided
    from models.device import choose_device
    from models.training.gpu.pack import write_pack
    from models.training.gpu.packing import Packer

    settings = read_settings()
    shares = parse_shares(split)
    found = divided(data, shares=shares, test_sources=test_source or [])
    store = crop_store(settings, frames=frames, device=choose_device(settings.device))
    packer = Packer()
    with Progress(console=Console(stderr=True)) as bar:
        for folder, media in zip(data, found, strict=True):
            task = bar.add_task(folder.name, total=len(media))
            faces = store.faces(media, partial(_advance, bar, task))
            packer.add_labelled(faces, folder.parent if folder.is_file() else folder)
    if genuine is not None:
        packer.add_genuine(genuine)
    made = packer.pack(int(megabytes * MEBIBYTE))
    write_pack(out, replace(made.pack, command=command_line()))
    _show(made)
    typer.echo(f"pack: {out}, {out.stat().st_size / MEBIBYTE:.1f} MiB")


def export_gpu(
    run: Annotated[Path, typer.Argument(help="The --out of a finished `python -m models.training.gpu`.")],
    out: Annotated[Path, typer.Option(help="The checkpoint.")] = Path("build/xception.safetensors"),
    label: Annotated[str | None, typer.Option(help="Name of the checkpoint.")] = None,
) -> None:
    """Make a checkpoint from a run on a GPU."""
    from core.model_version import UNTRAINED_LABEL
    from models.training.gpu.export import export_run

    made = export_run(run, out, label=label or UNTRAINED_LABEL, command=command_line())
    typer.echo(f"{out}: {made.id} ({made.label})")


def _advance(bar: "Progress", task: "TaskID", done: int, media: int) -> None:
    bar.update(task, completed=done, total=media)


def _show(made: "Packed") -> None:
    """Faces by corpus, side and class, and what was left out."""
    from rich.console import Console
    from rich.table import Column, Table

    from models.datasets.splits import SPLITS

    counts = Counter((face.corpus, face.side, face.fake) for face in made.pack.faces)
    table = Table(Column("genuine / fake", no_wrap=True), *SPLITS, "left out")
    for corpus in sorted({face.corpus for face in made.pack.faces} | {name for name, _ in made.left_out}):
        numbers = [(counts[corpus, side, False], counts[corpus, side, True]) for side in SPLITS]
        numbers.append((made.left_out[corpus, False], made.left_out[corpus, True]))
        table.add_row(corpus, *(f"{genuine} / {fake}" for genuine, fake in numbers))
    Console().print(table)
    if made.left_out:
        typer.echo(f"left out for lack of room: {made.left_out.total()} faces; raise --megabytes")
    if made.damaged:
        typer.echo(f"left out as damaged: {made.damaged} faces")
