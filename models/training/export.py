"""The checkpoint of a finished run, with the record of how it was made."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog
from torch import nn

from core.model_version import CropSettings, ModelVersion
from models.architectures import architecture
from models.checkpoint import save_checkpoint
from models.synthesis.renderers import renderer_record
from models.synthesis.rendering import RENDERINGS
from models.training.config import TrainConfig
from models.training.distributed import Distributed
from models.training.state import TrainState

log = structlog.get_logger()


def checkpoint_path(config: TrainConfig) -> Path:
    """Where the run's checkpoint is."""
    return config.out / f"{config.architecture}.safetensors"


def export(
    config: TrainConfig,
    network: nn.Module,
    state: TrainState,
    processes: Distributed,
    started_from: dict[str, Any],
) -> Path:
    """Write the weights as a checkpoint; returns its path.

    `started_from`: the training record of the checkpoint that the run began with, empty for none.
    """
    entry = architecture(config.architecture)
    validated = [item for item in state.history if "validation_loss" in item]
    if config.keep == "best" and validated:
        validated.append(min(validated, key=lambda item: float(item["validation_loss"])))
    version = ModelVersion(
        architecture=config.architecture,
        head=config.head,
        label=config.label,
        weights_sha256="",
        input_size=config.input_size,
        mean=entry.mean,
        std=entry.std,
        crop=CropSettings(margin=config.margin),
        training={
            "config": _settings(config),
            "plans": state.plans,
            "commands": state.commands,
            "pictures": len(state.history) * config.pairs_per_batch * 2 * processes.size,
            "processes": processes.size,
            "seconds": round(state.seconds),
            "validation": validated[-1] if validated else {},
            "started_from": started_from,
            "renderers": renderer_record() if RENDERINGS.keys() & set(config.kinds) else {},
        },
    )
    path = checkpoint_path(config)
    save_checkpoint(path, network, version)
    log.info("exported", path=str(path))
    return path


def _settings(config: TrainConfig) -> dict[str, Any]:
    """The config without paths, which mean nothing on another machine."""
    settings = asdict(config)
    del settings["command"]  # one of the record's `commands`
    for name in ("data", "out", "init"):
        settings[name] = Path(settings[name]).name if settings[name] else None
    settings["generators"] = [path.name for path in config.generators]
    return settings
