"""What a resumed run needs; everything else follows from the config and the step."""

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
import torch
from torch import nn

from core.errors import SettingsError
from models.training.config import TrainConfig
from models.training.optim import make_optimiser
from models.training.schedule import plateau
from models.whole_file import whole

log = structlog.get_logger()

FILE = "state.pt"
BEST = "best.pt"

Entry = dict[str, Any]  # of the history: the numbers of one step


@dataclass
class TrainState:
    network: nn.Module
    average: nn.Module  # exponential moving average of the weights: this is what ships
    optimiser: torch.optim.Optimizer
    plateau: torch.optim.lr_scheduler.ReduceLROnPlateau
    step: int = 0
    history: list[Entry] = field(default_factory=list)
    seconds: float = 0.0  # spent so far, over all resumptions
    # The target number of steps, by the step from which it held: learning rate and difficulty follow from it.
    plans: list[list[int]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)  # that made it, in order; empty: unknown

    def plan(self, steps: int, command: str = "") -> None:
        """Record that the run continues towards `steps`, and by which command."""
        if not self.plans or self.plans[-1][1] != steps:
            self.plans.append([self.step, steps])
        whole = bool(self.commands) or not self.step  # what began an older release's run is unknown
        if not command or not whole:
            self.commands = []
        elif command not in self.commands[-1:]:
            self.commands.append(command)

    @property
    def best_loss(self) -> float:
        """The lowest validation loss so far."""
        return min((each["validation_loss"] for each in self.history if "validation_loss" in each), default=0)

    @torch.no_grad()
    def follow(self, decay: float) -> None:
        """Move the average towards the network."""
        if self.average is self.network:
            return
        # An average younger than its memory would be dragged towards the start weights.
        decay = min(decay, (1 + self.step) / (10 + self.step))
        for ours, theirs in zip(
            self.average.state_dict().values(), self.network.state_dict().values(), strict=True
        ):
            if ours.is_floating_point():
                ours.lerp_(theirs, 1 - decay)
            else:
                ours.copy_(theirs)


def begin(config: TrainConfig, network: nn.Module, device: str) -> TrainState:
    """The state of `config.out`, or that of a new run that starts with `network`.

    Raises SettingsError if the folder holds another run's state.
    """
    average = copy.deepcopy(network).eval() if config.ema_decay else network
    optimiser = make_optimiser(config, network.parameters())
    state = TrainState(network, average, optimiser, plateau(optimiser))
    saved = config.out / FILE
    if not saved.exists():
        return state
    values = torch.load(saved, map_location=device, weights_only=True)
    try:
        network.load_state_dict(values["network"])
        if config.ema_decay:
            average.load_state_dict(values["average"])
        optimiser.load_state_dict(values["optimiser"])
    except (RuntimeError, ValueError, AttributeError) as error:
        reason = f"{config.out} has the state of another network or optimiser; give another folder"
        raise SettingsError(setting="--out", reason=reason) from error
    if "plateau" in values:
        state.plateau.load_state_dict(values["plateau"])
    state.step, state.history, state.seconds = values["step"], values["history"], values["seconds"]
    state.plans, state.commands = values.get("plans", []), values.get("commands", [])
    log.info("resumed", step=state.step)
    return state


def save(config: TrainConfig, state: TrainState) -> None:
    """Write the state so that a crash leaves the old or the new one."""
    values = {
        "network": state.network.state_dict(),
        "average": None if state.average is state.network else state.average.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "plateau": state.plateau.state_dict(),
        "step": state.step,
        "history": state.history,
        "seconds": state.seconds,
        "plans": state.plans,
        "commands": state.commands,
    }
    _write(values, config.out / FILE)


def keep_best(config: TrainConfig, state: TrainState) -> None:
    """Remember the weights if no earlier validation had a lower loss."""
    if config.keep == "best" and state.history[-1]["validation_loss"] <= state.best_loss:
        _write(state.average.state_dict(), config.out / BEST)


def chosen(config: TrainConfig, state: TrainState) -> nn.Module:
    """The network to ship: the last average, or the one with the lowest validation loss."""
    best = config.out / BEST
    if config.keep == "best" and best.exists():
        state.average.load_state_dict(torch.load(best, map_location="cpu", weights_only=True))
    return state.average


def _write(values: Any, path: Path) -> None:
    with whole(path) as partial:
        torch.save(values, partial)
