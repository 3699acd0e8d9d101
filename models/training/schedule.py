"""What changes over a run: difficulty, picture size, learning rate."""

import math

import torch

from models.datasets.pairs import Schedule
from models.training.config import TrainConfig

# The published protocol's cut: to a fifth, if three validations have not improved by this much.
PLATEAU_FACTOR = 0.2
PLATEAU_PATIENCE = 3
PLATEAU_DELTA = 0.001


def schedule(config: TrainConfig, step: int) -> Schedule:
    """Easy first: with hard forgeries from the start, the network stays at chance."""
    part = step / max(1, config.steps)
    ramp = min(1.0, part / config.easy_until)
    return Schedule(
        difficulty=config.final_difficulty * ramp,
        strength=0.15 + (config.final_strength - 0.15) * ramp,
        size=picture_size(config, part),
    )


def picture_size(config: TrainConfig, part: float) -> int:
    """Pixels at this fraction of the run, in [0, 1): small pictures first."""
    sizes = config.sizes or ((0.0, config.start_size), (config.grow_at, config.input_size))
    return max((since, size) for since, size in sizes if part >= since)[1]


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then a cosine to a hundredth."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    part = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * part)))


def plateau(optimiser: torch.optim.Optimizer) -> torch.optim.lr_scheduler.ReduceLROnPlateau:
    """Cuts the learning rate when the validation loss stalls."""
    return torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser,
        factor=PLATEAU_FACTOR,
        patience=PLATEAU_PATIENCE,
        threshold=PLATEAU_DELTA,
        threshold_mode="abs",
    )
