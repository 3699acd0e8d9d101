"""`facewarden train` and `train-renderers`: thin wrappers of models.training."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from cli.configuration import read_settings

if TYPE_CHECKING:
    from core.settings import Settings
    from models.face import Image
    from models.training.config import TrainConfig
    from models.training.crops import CropStore, FrameReader

DEFAULT_STEPS = 650

Data = Annotated[
    Path,
    typer.Option(
        envvar="FACEWARDEN_DATA",
        help="Folder of genuine faces and videos, or a data set of genuine and fake ones; docs/training.md.",
    ),
]


def train(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of state, history and checkpoint.")] = Path("build/train"),
    arch: Annotated[str, typer.Option(help="An architecture's name.")] = "xception",
    preset: Annotated[str, typer.Option(help="default, or paper: the published protocol.")] = "default",
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the faces; instead of --steps.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help=f"Batches; {DEFAULT_STEPS} unless the preset says more.")
    ] = None,
    stop_at: Annotated[
        int | None, typer.Option(min=1, help="Step at which to end, to be resumed later, for other --steps.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=2, help="Pictures, half of them fake.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Faces or media used, for trials.")] = None,
    init: Annotated[Path | None, typer.Option(help="Backbone weights (safetensors) to start from.")] = None,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Start from ImageNet weights of timm's hub.")
    ] = False,
    generator: Annotated[
        list[Path] | None,
        typer.Option(help="Pictures of a generator (real/, fake/ or a manifest), mixed in."),
    ] = None,
    pseudo_fakes: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Part of the batches made of pseudo-fakes; 0 for labelled data."),
    ] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Kinds of pseudo-fakes; repeat it.")] = None,
    split: Annotated[
        str | None, typer.Option(help="Of labelled data without an official one: 80/10/10.")
    ] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Frames of each labelled video.")] = None,
    sizes: Annotated[str | None, typer.Option(help="Pixels as they grow: 112,224@0.5,299@0.8.")] = None,
    easy_until: Annotated[
        float | None, typer.Option(min=0.01, max=1, help="Part of the run over which forgeries grow hard.")
    ] = None,
    strength: Annotated[
        float | None, typer.Option(min=0, max=1, help="How hard pictures are degraded in the end: 0 is mild.")
    ] = None,
    localisation: Annotated[
        float | None, typer.Option(min=0, help="Weight of the loss for where the forgery is; 0 for none.")
    ] = None,
    optimiser: Annotated[str | None, typer.Option(help="adamw, adam or sam.")] = None,
    learning_rate: Annotated[float | None, typer.Option(min=1e-8, max=1, help="The highest.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, fp32 or bf16.")] = None,
    compile_: Annotated[bool, typer.Option("--compile", help="Through torch.compile.")] = False,
    loaders: Annotated[
        int | None, typer.Option(min=0, max=64, help="Processes that make the batches.")
    ] = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Events for TensorBoard too.")] = False,
    label: Annotated[str | None, typer.Option(help="What people will call the checkpoint.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
) -> None:
    """Train a classifier from genuine faces and pseudo-fakes, or from a data set; run again to resume.

    Under torchrun, which starts several processes, they share the work.
    """
    from models.training.config import Optimiser, Precision, Preset, TrainConfig, paper

    settings = read_settings()
    base = TrainConfig(data=data, out=out, architecture=arch, steps=DEFAULT_STEPS, seed=seed)
    if _one_of("--preset", preset, get_args(Preset)) == "paper":
        base = paper(base)
    changes: dict[str, Any] = {
        "steps": steps,
        "stop_at": stop_at,
        "epochs": epochs,
        "limit": limit,
        "init": init,
        "pretrained": pretrained or None,
        "generators": tuple(generator) if generator else None,
        "pseudo_share": pseudo_fakes,
        "kinds": _kinds(kind),
        "shares": split and _trained_shares(split),
        "frames_per_video": frames,
        "easy_until": easy_until,
        "final_strength": strength,
        "localisation": localisation,
        "optimiser": optimiser and _one_of("--optimiser", optimiser, get_args(Optimiser)),
        "learning_rate": learning_rate,
        "precision": precision and _one_of("--precision", precision, get_args(Precision)),
        "compile": compile_ or None,
        "loader_processes": loaders,
        "tensorboard": tensorboard or None,
        "label": label,
        **_sizes(sizes),
    }
    config = replace(base, **{name: value for name, value in changes.items() if value is not None})
    if steps is not None and epochs is None:
        config = replace(config, epochs=None)
    run_training(settings, config if batch_size is None else config.with_batch_size(batch_size))


def train_renderers(
    data: Data,
    out: Annotated[Path, typer.Option(help="Where the weights go.")] = Path("build/renderers.safetensors"),
    steps: Annotated[int, typer.Option(min=1, help="Batches of each network.")] = 1500,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
) -> None:
    """Train the networks that draw the faces of some pseudo-fakes; `train` and `evaluate` use them."""
    from rich.console import Console
    from rich.progress import Progress

    from models.device import choose_device
    from models.training.renderer_training import train_renderers as run
    from models.training.renderers import RENDERERS

    with Progress(console=Console(stderr=True)) as bar:
        tasks = {name: bar.add_task(name, total=steps) for name in RENDERERS}
        run(
            data,
            out,
            steps=steps,
            seed=seed,
            device=choose_device(read_settings().device),
            on_step=lambda name, step, _losses: bar.update(tasks[name], completed=step + 1),
        )
    typer.echo(f"renderers: {out}")


def run_training(settings: "Settings", config: "TrainConfig") -> None:
    """Train with a progress bar and say where the checkpoint lies.

    Raises SettingsError where the architecture is not known, or the data are not fit to train on.
    """
    import os

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from models.architectures import architecture
    from models.device import choose_device
    from models.training.train import train as run

    architecture(config.architecture)
    config = replace(config, device=choose_device(settings.device))
    first = os.environ.get("RANK", "0") == "0"
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[numbers]}"),
        console=Console(stderr=True),
        disable=not first,
    ) as bar:
        crops = bar.add_task("faces", visible=False, numbers="")
        task = bar.add_task("training", total=None, numbers="")

        def on_crops(done: int, media: int) -> None:
            bar.update(crops, completed=done, total=media, visible=True)

        def on_step(entry: dict[str, Any], steps: int) -> None:
            numbers = f"loss {entry['loss']:.4f}  accuracy {entry['accuracy']:.2f}"
            bar.update(task, completed=entry["step"] + 1, total=steps, numbers=numbers)

        made = run(
            config,
            store=crop_store(settings, frames=config.frames_per_video, device=config.device),
            on_step=on_step,
            on_crops=on_crops,
        )
    if first:
        typer.echo(f"checkpoint: {made}")


def crop_store(settings: "Settings", *, frames: int, device: str) -> "CropStore":
    """The store of labelled faces, `frames` of a video, which the worker's own decoder feeds."""
    from models.training.crops import CropStore

    return CropStore(
        settings.home / "crops",
        frame_reader(settings, frames),
        frames_per_video=frames,
        detection=settings.detection,
        quality=settings.quality,
        device=device,
    )


def frame_reader(settings: "Settings", count: int) -> "FrameReader":
    """Reads `count` frames spread over a video, in the worker's decoder process."""
    from worker.decode import VideoReader

    sampling = settings.sampling.model_copy(update={"max_frames": count, "min_frames": count})

    def frames(path: Path) -> "Iterator[Image]":
        with VideoReader(path, settings.decode, sampling) as reader:
            for frame in reader:
                yield frame.image

    return frames


def _one_of(option: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise typer.BadParameter(f"{option} is one of {', '.join(known)}")
    return value


def _kinds(wanted: list[str] | None) -> tuple[str, ...] | None:
    from models.training.pseudofakes import KINDS

    return tuple(_one_of("--kind", kind, tuple(KINDS)) for kind in wanted) if wanted else None


def parse_shares(text: str) -> tuple[float, float, float]:
    """Of `80/10/10`: train, validation, test."""
    try:
        train, validation, test = (float(part) for part in text.split("/"))
    except ValueError as error:
        raise typer.BadParameter("--split is three numbers: 80/10/10 or 100000/20000/20000") from error
    if train <= 0 or min(validation, test) < 0:
        raise typer.BadParameter("--split needs something to train on, and no negative numbers")
    return train, validation, test


def _trained_shares(text: str) -> tuple[float, float, float]:
    shares = parse_shares(text)
    if shares[1] == 0:
        raise typer.BadParameter("--split needs something to validate on")
    return shares


def _sizes(text: str | None) -> dict[str, Any]:
    """The config's changes for `112,224@0.5`."""
    if text is None:
        return {}
    try:
        parts = [part.partition("@") for part in text.split(",")]
        sizes = tuple((float(since or 0), int(size)) for size, _, since in parts)
    except ValueError as error:
        raise typer.BadParameter("--sizes is like 112,224@0.5,299@0.8") from error
    starts = [since for since, _ in sizes]
    if starts[0] != 0 or starts != sorted(set(starts)) or starts[-1] >= 1:
        raise typer.BadParameter("--sizes starts at 0 and grows: 112,224@0.5,299@0.8")
    if not all(16 <= size <= 2048 for _, size in sizes):
        raise typer.BadParameter("--sizes are pixels from 16 to 2048")
    return {"sizes": sizes, "input_size": sizes[-1][1]}
