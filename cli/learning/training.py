"""`facewarden train` and `train-renderers`: thin wrappers of models.training."""

from collections.abc import Iterator
from dataclasses import replace
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

import typer

from cli.configuration import read_settings
from core.command_line import command_line
from models.training.config import DEFAULTS, OPTIONS, TrainConfig, paper

if TYPE_CHECKING:
    from core.settings import Settings
    from models.datasets.crops import CropStore, FrameReader
    from models.face import Image

Data = Annotated[
    Path,
    typer.Option(
        envvar="FACEWARDEN_DATA",
        help="Folder of genuine faces and videos, or a labelled data set; see docs/training.md.",
    ),
]


def train(context: typer.Context, **asked: Any) -> None:
    """Train a classifier from genuine faces and pseudo-fakes, or from a data set; run again to resume.

    Under torchrun, several processes share the work.
    """
    given = {name: value for name, value in asked.items() if _was_given(context, name)}
    run_training(read_settings(), _config(given, data=asked["data"], out=asked["out"]))


def _was_given(context: typer.Context, name: str) -> bool:
    """Whether the option was given on the command line: only then does it override the preset."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _config(given: dict[str, Any], *, data: Path, out: Path) -> TrainConfig:
    config = TrainConfig(data=data, out=out, command=command_line())
    if given.get("preset") == "paper":
        config = paper(config)
    config = replace(config, **{name: _value(name, given[name]) for name in given if name in OPTIONS})
    if config.sizes:
        config = replace(config, input_size=config.sizes[-1][1])
    if "steps" in given and "epochs" not in given:
        config = replace(config, epochs=None)
    return config.with_batch_size(given["batch_size"]) if "batch_size" in given else config


def _value(name: str, typed: Any) -> Any:
    """The config's value for what was typed."""
    if name == "kinds":
        return _kinds(typed)
    if name == "shares":
        return _trained_shares(typed)
    if name == "sizes":
        return _sizes(typed)
    return tuple(typed) if isinstance(typed, list) else typed


def _parameters() -> Iterator[Parameter]:
    """Those of `train`: the config's options, with its defaults."""
    yield Parameter("context", Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    yield Parameter("data", Parameter.KEYWORD_ONLY, annotation=Data)
    out = typer.Option(Path("build/train"), help="Folder for state, history and checkpoint.")
    yield Parameter("out", Parameter.KEYWORD_ONLY, annotation=Path, default=out)
    size = typer.Option(2 * DEFAULTS.pairs_per_batch, min=2, help="Pictures, half of them fake.")
    yield Parameter("batch_size", Parameter.KEYWORD_ONLY, annotation=int, default=size)
    types = get_type_hints(TrainConfig) | {"shares": str, "sizes": str}
    for name, option in OPTIONS.items():
        default = getattr(DEFAULTS, name)
        if name == "shares":
            default = "/".join(f"{100 * share:g}" for share in default)
        offered = typer.Option(
            None if default == () else default, option.name, help=option.help, min=option.min, max=option.max
        )
        yield Parameter(name, Parameter.KEYWORD_ONLY, annotation=_repeatable(types[name]), default=offered)


def _repeatable(kind: Any) -> Any:
    """The type of an option: a list where the config has a tuple."""
    return list[get_args(kind)[0]] if get_origin(kind) is tuple else kind  # type: ignore[misc]


train.__signature__ = Signature(list(_parameters()))  # type: ignore[attr-defined]


def train_renderers(
    data: Data,
    out: Annotated[Path, typer.Option(help="Where the weights go.")] = Path("build/renderers.safetensors"),
    steps: Annotated[int, typer.Option(min=1, help="Batches of each network.")] = 1500,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
) -> None:
    """Train the networks that draw the faces of some pseudo-fakes; `train` and `evaluate` use them."""
    from rich.console import Console
    from rich.progress import Progress

    from models.device import choose_device
    from models.synthesis.renderers import RENDERERS
    from models.training.renderer_training import train_renderers as run

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


def run_training(settings: "Settings", config: TrainConfig) -> None:
    """Train with a progress bar and print where the checkpoint is.

    Raises SettingsError if the architecture is unknown or the data is not fit to train on.
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
    """The store of labelled faces, `frames` per video, read by the worker's own decoder."""
    from models.datasets.crops import CropStore

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
    from worker.decoder.reader import VideoReader

    sampling = settings.sampling.model_copy(update={"max_frames": count, "min_frames": count})

    def frames(path: Path) -> "Iterator[Image]":
        with VideoReader(path, settings.decode, sampling) as reader:
            for frame in reader:
                yield frame.image

    return frames


def _kinds(wanted: list[str]) -> tuple[str, ...]:
    from models.synthesis.kinds import KINDS

    if not KINDS.keys() >= set(wanted):
        raise typer.BadParameter(f"--kind must be one of {', '.join(KINDS)}")
    return tuple(wanted)


def parse_shares(text: str) -> tuple[float, float, float]:
    """From `80/10/10`: train, validation, test."""
    try:
        train, validation, test = (float(part) for part in text.split("/"))
    except ValueError as error:
        raise typer.BadParameter("--split must be three numbers: 80/10/10 or 100000/20000/20000") from error
    if train <= 0 or min(validation, test) < 0:
        raise typer.BadParameter("--split needs something to train on, and no negative numbers")
    return train, validation, test


def _trained_shares(text: str) -> tuple[float, float, float]:
    shares = parse_shares(text)
    if shares[1] == 0:
        raise typer.BadParameter("--split needs something to validate on")
    return shares


def _sizes(text: str) -> tuple[tuple[float, int], ...]:
    """From `112,224@0.5`: pairs of the fraction of the run at which a size starts, and pixels."""
    try:
        parts = [part.partition("@") for part in text.split(",")]
        sizes = tuple((float(since or 0), int(size)) for size, _, since in parts)
    except ValueError as error:
        raise typer.BadParameter("--sizes must look like 112,224@0.5,299@0.8") from error
    starts = [since for since, _ in sizes]
    if starts[0] != 0 or starts != sorted(set(starts)) or starts[-1] >= 1:
        raise typer.BadParameter("--sizes must start at 0 and increase, below 1: 112,224@0.5,299@0.8")
    if not all(16 <= size <= 2048 for _, size in sizes):
        raise typer.BadParameter("--sizes must be between 16 and 2048 pixels")
    return sizes
