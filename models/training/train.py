"""Train a classifier: the resumable loop.

    facewarden train --data FOLDER --out FOLDER --init weights.safetensors

The state is saved to OUT/state.pt every `checkpoint_every` steps; running the same command again continues
from there. The result is OUT/<architecture>.safetensors, the history OUT/history.json with two plots. Several
processes started by torchrun share the work; the first one writes.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog
import torch
from torch import nn
from torch.utils.data import DataLoader

from models.architectures import architecture
from models.datasets.crops import CropStore
from models.datasets.crops import Progress as CropProgress
from models.datasets.pairs import Batch, PairStream
from models.preprocess import Normalise
from models.training.config import TrainConfig
from models.training.distributed import Distributed, process_group
from models.training.export import checkpoint_path, export
from models.training.history import Board, open_board, plot_history, show, write_history
from models.training.init import first_network, origin, placed
from models.training.mask_head import MaskHead, bare, mask_loss
from models.training.optim import SharpnessAware
from models.training.schedule import learning_rate, schedule
from models.training.state import Entry, TrainState, begin, chosen, keep_best, save
from models.training.training_set import TrainingSet, is_genuine, load_training_set

__all__ = ["TrainConfig", "train"]

log = structlog.get_logger()

LONGEST_GRADIENT = 2.0  # norm above which a gradient is clipped

Progress = Callable[[Entry, int], None]  # the numbers of a step, and of how many steps


@dataclass(frozen=True, kw_only=True)
class _Stepper:
    """What a step is made with."""

    config: TrainConfig
    processes: Distributed
    normalise: Normalise
    forward: nn.Module  # the network, as it is run: compiled, averaging its gradients
    sam: SharpnessAware | None


def train(
    config: TrainConfig,
    *,
    store: CropStore | None = None,
    on_step: Progress = lambda _entry, _steps: None,
    on_crops: CropProgress = lambda _done, _all: None,
) -> Path:
    """Run or resume the training that `config` describes; returns the checkpoint's path.

    Args:
        store: finds the faces of labelled media; genuine faces need none.
        on_step: called with each step of the first process.
        on_crops: called with the number of labelled media searched for faces.

    Raises SettingsError or WeightsError if the run cannot start.
    """
    config.out.mkdir(parents=True, exist_ok=True)
    with process_group(config.device) as processes, _board(config, processes) as board:
        training_set = _training_set(config, processes, store, on_crops)
        if config.epochs is not None:
            config = config.with_epochs(config.epochs, training_set.pairs, processes.size)
        started_from = origin(config.init)
        network = placed(_network(config), processes.device)
        state = begin(config, network, processes.device)
        state.plan(config.steps, config.command)
        stepper = _stepper(config, processes, network)
        since = time.monotonic()
        for batch in _batches(config, processes, state.step, training_set):
            entry = _step(stepper, state, batch)
            state.history.append(entry)
            state.step += 1
            now = time.monotonic()
            state.seconds, since = state.seconds + now - since, now
            if state.step % config.validate_every == 0 or state.step == config.steps:
                _validate(config, processes, state, training_set)
            if processes.first:
                _record(config, state, board)
                on_step(entry, config.steps)
            if state.step == config.stop_at:
                break
        if processes.first:
            plot_history(config.out, state.history)
            export(config, bare(chosen(config, state)), state, processes, started_from)
        processes.barrier()
    return checkpoint_path(config)


def _board(config: TrainConfig, processes: Distributed) -> "closing[Board] | nullcontext[None]":
    return closing(open_board(config.out)) if config.tensorboard and processes.first else nullcontext()


def _training_set(
    config: TrainConfig, processes: Distributed, store: CropStore | None, progress: CropProgress
) -> TrainingSet:
    """Load the data; the first process searches labelled media for faces, the others read its results."""
    if processes.device.startswith("cuda"):
        torch.backends.cudnn.deterministic = True
    torch.manual_seed(config.seed)
    if is_genuine(config.data) and not config.generators:
        return load_training_set(config, None)
    if not processes.first:
        processes.barrier()
    training_set = load_training_set(config, store, progress)
    if processes.first:
        processes.barrier()
    # Whether the faces were in the store or had to be found must not change the initial weights.
    torch.manual_seed(config.seed)
    return training_set


def _network(config: TrainConfig) -> nn.Module:
    network = first_network(config)
    if not config.localisation:
        return network
    entry = architecture(config.architecture)
    return MaskHead(network, entry.last_conv, entry.features)


def _batches(
    config: TrainConfig, processes: Distributed, start: int, training_set: TrainingSet
) -> Iterator[Batch]:
    schedules = [schedule(config, step) for step in range(config.steps)]
    stream = PairStream(
        training_set.maker,
        schedules,
        start=start,
        clips=config.clips_per_batch,
        rank=processes.rank,
        world=processes.size,
    )
    yield from DataLoader(
        stream,
        batch_size=None,
        num_workers=config.loader_processes,
        prefetch_factor=4 if config.loader_processes else None,
        # A fork would inherit the locks of OpenMP's threads, held by nobody, and hang.
        multiprocessing_context="spawn" if config.loader_processes else None,
    )


def _stepper(config: TrainConfig, processes: Distributed, network: nn.Module) -> _Stepper:
    forward = processes.wrapped(network)
    if config.compile:
        forward.compile()  # in place: the weights keep their names
    sam = SharpnessAware(network, radius=config.sam_radius) if config.optimiser == "sam" else None
    entry = architecture(config.architecture)
    normalise = Normalise(entry.mean, entry.std).to(processes.device)
    return _Stepper(config=config, processes=processes, normalise=normalise, forward=forward, sam=sam)


def _step(stepper: _Stepper, state: TrainState, batch: Batch) -> Entry:
    config, processes = stepper.config, stepper.processes
    # Dropout draws depend only on the step, so that a resumed run draws what an uninterrupted one would.
    torch.manual_seed((config.seed * 1_000_003 + state.step) * 4096 + processes.rank)
    if config.learning_rates == "cosine":
        for group in state.optimiser.param_groups:
            group["lr"] = learning_rate(config, state.step)
    state.network.train()
    batch = Batch(
        stepper.normalise(batch.images.to(processes.device)),
        batch.labels.to(processes.device),
        batch.forged.to(processes.device),
    )
    state.optimiser.zero_grad(set_to_none=True)
    losses, logits = _losses(stepper, batch)
    _sum(losses).backward()
    if stepper.sam is not None:
        with stepper.sam:
            _sum(_losses(stepper, batch)[0]).backward()
    nn.utils.clip_grad_norm_(state.network.parameters(), LONGEST_GRADIENT)
    state.optimiser.step()
    state.follow(config.ema_decay)
    right = ((logits.detach() > 0) == (batch.labels > 0.5)).float().mean()
    return {
        "step": state.step,
        **{name: round(processes.mean(loss), 5) for name, loss in losses.items()},
        "accuracy": round(processes.mean(right), 4),
    }


def _losses(stepper: _Stepper, batch: Batch) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """The step's weighted loss, and the logits (N,)."""
    config, device = stepper.config, stepper.processes.device.split(":")[0]
    half = config.precision == "bf16" or (config.precision == "auto" and device == "cuda")
    wanted = batch.labels * (1 - config.label_smoothing) + config.label_smoothing / 2
    with torch.autocast(device, dtype=torch.bfloat16, enabled=half):
        answers = stepper.forward(batch.images).float()
    logits, cells = answers[:, 0], answers[:, 1:]
    losses = {"loss": nn.functional.binary_cross_entropy_with_logits(logits, wanted)}
    if config.localisation:
        losses["localisation_loss"] = config.localisation * mask_loss(cells, batch.forged)
    return losses, logits


def _sum(losses: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.stack(tuple(losses.values())).sum()


def _validate(
    config: TrainConfig, processes: Distributed, state: TrainState, training_set: TrainingSet
) -> None:
    """Add the validation's numbers to the last step's; all processes get those of the first."""
    state.average.eval()
    numbers = processes.broadcast(training_set.validate(state.average) if processes.first else {})
    state.history[-1] |= numbers
    if config.learning_rates == "plateau":
        state.plateau.step(numbers["validation_loss"])
    if processes.first:
        keep_best(config, state)
        log.info("validated", seconds=round(state.seconds), **state.history[-1])


def _record(config: TrainConfig, state: TrainState, board: Board | None) -> None:
    if board is not None:
        show(board, state.history[-1])
    every = config.checkpoint_every
    if state.step in (config.steps, config.stop_at) or (every and state.step % every == 0):
        if every:
            save(config, state)
        write_history(config.out, state.history)
        mean = float(np.mean([entry["loss"] for entry in state.history[-every:]]))
        log.info("step", step=state.step, loss=round(mean, 4), seconds=round(state.seconds))
